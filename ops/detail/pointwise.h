// The gradient of a pointwise convolution's weights (1x1, stride 1, no padding): the product of two matrices of pixels,
// [C][pixels] and [pixels][OC], with many pixels and few channels. In f32 and in bf16 (products of bf16, sums in f32).
//
// Activations are channels-last, weights [1][1][C][OC]. Each thread sums over its share of the pixels in its
// second-level cache; the same number of threads gives the same bytes.
#pragma once

#include <optional>

#include "ops/detail/convolution.h"

namespace hourglass::detail {

// Absent where the convolution is of another kind, has too many channels, the CPU lacks AVX2 (for bf16:
// AVX512_BF16), or oneDNN has something better.
std::optional<KernelPlan> plan_pointwise_grad_weights(const Convolution& conv);

}  // namespace hourglass::detail
