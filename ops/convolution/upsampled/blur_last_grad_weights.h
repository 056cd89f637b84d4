// The gradient of the weights of a convolution with 3x3 taps whose source is normalised and then resized to twice its
// size: the adjoint of ops/convolution/upsampled/blur_last_forward.h. The gradient is blurred, and products are of the
// small image and, for each tap, one pixel in four of that: a quarter of those of the convolution as it stands, or 25 /
// 144 where neighbours share them (ops/convolution/upsampled/shared_taps.h).
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines a source that is not resized so, and a gradient of the bias.
Answer plan_blur_last_grad_weights(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
