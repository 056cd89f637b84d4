// The gradient of a convolution's weights, for filters, strides, dilations and borders of any kind: for each tap, the
// product of two matrices of pixels, [C][pixels] and [pixels][OC], with many pixels and few channels. In f32 and in
// bf16 (products of bf16, sums in f32).
//
// A band of the gradient and the rows of the source that it needs are put into the form that the CPU's products take,
// each row once; taps beside each other read the same row, a pixel further. Padding is made on the way. Activations are
// channels-last, weights [KH][KW][C][OC]. Each thread sums over its share of the rows; the same number of threads gives
// the same bytes.
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"

namespace hourglass::detail {

// For one group and an f32 gradient. Absent where the weights are many or a band of rows is large, so that a thread's
// part would leave its caches; with few channels on one side, unless the filter is pointwise; and where the CPU lacks
// AVX2 (for bf16: AVX512_BF16). Few channels on both sides of a pointwise or 3x3 filter are always taken, those of 3x3
// in bf16 by AMX where there is one.
std::optional<KernelPlan> plan_grad_weights(const Convolution& conv);

}  // namespace hourglass::detail
