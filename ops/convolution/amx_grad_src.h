// The gradient of a convolution's source in bf16 (sums in f32) by AMX tile instructions, for any stride: a transposed
// convolution as a direct GEMM.
//
// The positions of diff_src are split into stride_h * stride_w phases; within a phase every position meets the same
// taps of the filter, so it is an ordinary convolution of diff_dst by the taps rest, rest + stride, ... (sub-pixel
// convolution). Rows of diff_src are products of rows of diff_dst with the transposed weights; the gradient of the
// border is added row by row to the pixels that the border shows. Best choice on CPUs with AMX where the source has at
// most 16 channels or a multiple of 32, and with any stride above 1, where oneDNN takes three times as long.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Inputs diff_dst and weights, output diff_src, channels-last. K is rounded up and multiplied by zeros there, so an
// infinity in diff_dst makes NaN of its neighbours too. Declines dilations, wide borders, strides with more than 64
// phases, too many weights, taps or rows, 1x1 that changes the shape, and where oneDNN is faster.
Answer plan_amx_grad_src(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
