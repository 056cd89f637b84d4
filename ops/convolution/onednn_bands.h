// A convolution or one of its gradients by oneDNN's primitives, one horizontal band of the image at a time. A band of
// the source is copied with its border, in the layout and type that oneDNN is fastest with; the primitive runs on the
// copy without padding; a gradient of the source is copied back, with the border's gradient added to the pixels that it
// shows. So the padded image never exists, and scratch memory is that of a band. Best choice where the border shows the
// image's own pixels and none of our kernels serves; and with zeros around, backward, where a blocked layout is much
// faster.
//
//   dst = conv(pad(src), weights) and its two gradients, as ops/conv.cpp states them.
// The bands depend on the shapes alone, so the same number of threads gives the same bytes.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Whether channels-last is the fastest layout of activations for oneDNN's kernels of this convolution.
bool prefers_channels_last(const Convolution& conv);

// Declines where the border is constant and bands are not worth their copies, where oneDNN has no implementation, and
// where the gradients of the bands' borders can't be added band by band.
Answer plan_onednn_bands(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
