// The gradient of the source of a 3x3 convolution whose first channels are an image that was resized to twice its size:
// the gradient of the small image before the resize, and of the other channels. It is the adjoint of
// blur_last_forward.h without the normalisation: diff_dst is blurred first (the transposed blur), and GEMMs with the
// transposed filters make a pixel of the small image from 9 products, or 25 / 4 with shared taps (shared_taps.h),
// instead of 36 by way of the four large pixels, whose gradients are never made. Best choice for such sources on CPUs
// without AMX.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// conv.normalized says what was resized. Inputs: diff_dst and the weights; outputs: the gradient of the small image
// and, where there are more channels, that of the other channels. Declines a source that is not resized to exactly
// twice its size, an odd number of channels in bf16, and other channels whose border shows the far end (wrap).
Answer plan_blur_last_grad_src(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
