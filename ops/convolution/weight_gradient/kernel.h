// The gradient of a convolution's weights, for filters, strides, dilations and padding modes of any kind, in f32 and in
// bf16 (products of bf16, sums in f32): for each tap of the filter a GEMM [C x pixels] * [pixels x OC], with many
// pixels (K) and few channels (M and N).
//
// A band of diff_dst and the rows of the source that it needs are packed into the layouts of operands A and B, each row
// once (no im2col): neighbouring taps read the same packed row one pixel further. The border is made while a row is
// packed. Each thread sums its parts of the rows, and the parts' sums are added in order, so the same number of threads
// gives the same bytes. How operands are packed and multiplied is a `Products` (products.h), of which there are four;
// choose.h says when each of them is asked. Activations are channels-last, weights [KH][KW][C][OC].
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// One function per kind of Products. All decline where the sums or a band's rows are so large that a thread's part
// would leave its caches.
//
// 1x1, at most 8 channels on at least one side: both operands are read in place, without packing.
Answer plan_narrow_1x1(const PlanContext& ctx, const Convolution& conv);
// Nine taps, at most 16 channels on both sides: sums of three taps stay in vector registers. Declines where neither
// side's channels are a multiple of 8 (from 16 channels on, on AVX-512, of 16), and more than 16 vectors of sums a tap.
Answer plan_narrow_3x3(const PlanContext& ctx, const Convolution& conv);
// By AMX tile instructions.
Answer plan_amx_grad_weights(const PlanContext& ctx, const Convolution& conv);
// By the GEMM of ops/simd/gemm.h. Declines at most 8 channels on one side, unless the filter is 1x1.
Answer plan_vector_grad_weights(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
