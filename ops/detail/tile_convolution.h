// Convolution in bf16 by AMX (products of bf16, sums in f32), forward, for filters, strides, dilations and borders of any
// kind but pointwise ones.
//
// Channels-last, the taps of a row of the filter read one run of memory, from pixel to pixel a stride further: the
// image's rows, with their borders, are the products' left side as they are. Weights are [KH][KW][C][OC].
#pragma once

#include <optional>

#include "ops/detail/convolution.h"

namespace hourglass::detail {

// Absent where the CPU has no AMX that oneDNN may use, for f32, and for pointwise convolutions, which oneDNN is good at.
std::optional<KernelPlan> plan_tile_convolution(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::detail
