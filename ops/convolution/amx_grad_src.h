// The gradient of a bf16 convolution's source by AMX: rows of it, each a product of the rows of diff_dst that reach it
// and the weights. What falls on the border is added to the pixels that it shows, row by row.
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"

namespace hourglass::detail {

// Inputs diff_dst and weights, output diff_src, channels-last. What fills a row up is multiplied by zero, so an
// infinity in diff_dst makes NaN of its neighbours too. Empty where the CPU has no AMX, for another type, for
// dilations, wide borders and strides of more than 64 phases, where weights, taps or rows are too many, and where
// oneDNN is faster.
std::optional<KernelPlan> plan_tile_grad_src(const Convolution& conv);

}  // namespace hourglass::detail
