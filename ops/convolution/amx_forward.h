// Convolution in bf16 by AMX (products of bf16, sums in f32), forward, for filters, strides, dilations and borders of
// any kind.
//
// Channels-last, the taps of a row of the filter read one run of memory, from pixel to pixel a stride further: rows of
// the image, copied once with their borders, are the products' left side. What fills a run up to whole steps is
// multiplied by zero, so an infinity in the source makes NaN of its neighbours too. Weights are [KH][KW][C][OC].
#pragma once

#include <cstddef>

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// What kernels of tiles take: runs of memory that a product reads; bytes of all weights, which each row of the image
// reads; and bytes of the rows that a thread keeps.
constexpr std::size_t kMostAmxRuns = 64, kAmxWeightsBytes = 2 << 20, kAmxThreadBytes = 8 << 20;

// Declines where weights, rows or taps are too many.
Answer plan_amx_forward(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
