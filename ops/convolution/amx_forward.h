// Convolution forward in bf16 (sums in f32) by AMX tile instructions, for any filter, stride, dilation and padding
// mode: a direct convolution as a GEMM without im2col.
//
// In a channels-last row of the image, all taps of one row of the filter read one contiguous run of KW * C elements,
// and the next output pixel's run begins `stride` pixels further. So rows of the image, copied once with their border
// into a ring buffer, serve as operand A with overlapping rows; B are the weights, packed to panels of 16 output
// channels; K is a run rounded up to whole steps of 32. With a dilation along the row each tap is a run of its own.
// Best choice on CPUs with AMX, unless the source is resized (upsampled/phase_filters_amx.h).
//
// K beyond a run is multiplied by zero weights, so an infinity in the source makes NaN of its neighbours too. Weights
// are [KH][KW][C][OC].
#pragma once

#include <cstddef>

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Limits of the AMX kernels: runs that a product reads, bytes of all packed weights, which every row of the image reads
// again, and bytes of the rows that a thread keeps.
constexpr std::size_t kMostAmxRuns = 64, kAmxWeightsBytes = 2 << 20, kAmxThreadBytes = 8 << 20;

// Declines too many runs of taps, too many weights, and rows that are too long.
Answer plan_amx_forward(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
