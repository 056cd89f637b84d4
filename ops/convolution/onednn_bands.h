// Convolutions of a padded image, band by band: the padding is made as a band is read and never stored, the band's
// layout and type are the convolution's own choice, and what it needs of scratch memory is a band's.
//
//   dst = conv(pad(src), weights) and its two gradients, as ops/conv.cpp states them. Bands depend on the shapes alone,
//   so the same number of threads gives the same bytes.
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"

namespace hourglass::detail {

// Whether bands are worth their copies for a convolution of a channels-last activation that needs none for its padding:
// where blocked layouts are so much faster, or a whole image would take too much scratch memory.
bool prefers_bands(const Convolution& conv);

// Whether no other layout of activations is faster for oneDNN's kernels here.
bool prefers_channels_last(const Convolution& conv);

// Absent when oneDNN has no implementation, or the bands' gradients can't be folded.
std::optional<KernelPlan> plan_band_convolution(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::detail
