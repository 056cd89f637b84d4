// The gradient of the weights of a 3x3 convolution whose source is normalised and then resized to twice its size: the
// adjoint of blur_last_forward.h. diff_dst is blurred first (the transposed blur); then each tap is a GEMM of pixels of
// the small image and one in four pixels of the blurred gradient. That is a quarter of the products of the plain
// convolution, or 25 / 144 with shared taps (shared_taps.h). Best choice for such sources on CPUs without AMX.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines a source that is not resized to exactly twice its size, a gradient of the bias, and more than 2 MiB of sums.
Answer plan_blur_last_grad_weights(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
