// Convolutions of a padded image, band by band: the padding is made as a band is read and never stored, the band's
// layout and type are the convolution's own choice, and what it needs of scratch memory is a band's.
//
//   dst = conv(pad(src), weights) and its two gradients, as ops/conv.cpp states them. Bands depend on the shapes alone,
//   so the same number of threads gives the same bytes.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Whether no other layout of activations is faster for oneDNN's kernels here.
bool prefers_channels_last(const Convolution& conv);

// Declines where the border is constant and bands are not worth their copies, where oneDNN has no implementation, and
// where the bands' gradients can't be folded.
Answer plan_onednn_bands(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
