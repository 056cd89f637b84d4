// The gradient of a bf16 convolution's source by AMX: rows of it, each a product of the rows of diff_dst that reach it
// and the weights. What falls on the border is added to the pixels that it shows, row by row.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Inputs diff_dst and weights, output diff_src, channels-last. What fills a row up is multiplied by zero, so an
// infinity in diff_dst makes NaN of its neighbours too. Declines dilations, wide borders, strides of more than 64
// phases, too many weights, taps or rows, and where oneDNN is faster.
Answer plan_amx_grad_src(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
