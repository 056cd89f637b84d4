// Convolution forward by 1x1 filters (stride 1, no padding) of a source that is normalised while it is read, in f32 and
// in bf16 (products of bf16, sums in f32): the GEMM [pixels x C] * [C x OC].
//
// A chunk of pixels is normalised into a buffer, multiplied by the weights while it lies in the cache, and stored with
// bias and statistics. It saves the pass that would write the normalised image; a source that lies in memory is left to
// oneDNN. Activations are channels-last, weights [1][1][C][OC].
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// 8 or 16 source channels to at most 16: all weights in vector registers, by the compiler's vector types on any CPU.
Answer plan_pointwise_few(const PlanContext& ctx, const Convolution& conv);
// By the GEMM of ops/simd/gemm.h. Declines few source channels and, in bf16, an odd number of them.
Answer plan_pointwise_vector(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
