// The gradient of the source of a convolution with 3x3 taps, whose first channels are an image that was resized to
// twice its size: of that image as it was before, and of the other channels. The adjoint of
// ops/convolution/upsampled/blur_last_forward.h but for the normalisation: the gradient is blurred, and a pixel of the
// small image gets nine products from it, or 25 / 4 where neighbours share them
// (ops/convolution/upsampled/shared_taps.h), instead of 36 by way of the large image's four pixels, whose gradients are
// never made.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// conv.normalized says what is resized. Inputs: diff_dst and the weights; outputs: the gradients of the small image
// and, where there are more channels, of those. Declines a source that is not resized so, an odd number of channels in
// bf16, and other channels whose border lies at the far end (wrap).
Answer plan_blur_last_grad_src(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
