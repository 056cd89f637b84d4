// The gradient of a convolution's weights in bf16 by AMX (products of bf16, sums in f32), for filters, strides,
// dilations and borders of any kind: for each tap, the product of two matrices of pixels, [C][pixels] and [pixels][OC].
//
// Rows of the source are turned so that pixels lie side by side, each once, into the rows that a band of the gradient
// needs; taps beside each other read the same row, an element further. Activations are channels-last, weights
// [KH][KW][C][OC]. Each thread sums over its share of the rows; the same number of threads gives the same bytes.
#pragma once

#include <optional>

#include "ops/detail/convolution.h"

namespace hourglass::detail {

// Absent where the CPU has no AMX that oneDNN may use, for f32, and where the weights are so many that a thread's sums
// would leave its second-level cache.
std::optional<KernelPlan> plan_amx_grad_weights(const Convolution& conv);

}  // namespace hourglass::detail
