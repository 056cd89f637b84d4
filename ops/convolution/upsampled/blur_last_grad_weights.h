// The gradient of the weights of a convolution with 3x3 taps whose source is normalised and then resized to twice its
// size: the adjoint of ops/convolution/upsampled/blur_last_forward.h. The gradient is blurred, and products are of the small image
// and, for each tap, one pixel in four of that: a quarter of those of the convolution as it stands, or 25 / 144 where
// neighbours share them (ops/convolution/upsampled/shared_taps.h).
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"

namespace hourglass::detail {

// Absent where the source is not resized, or not so, for a gradient of the bias, and where there are no products for
// the CPU and the type.
std::optional<KernelPlan> plan_stretched_grad_weights(const Convolution& conv);

}  // namespace hourglass::detail
