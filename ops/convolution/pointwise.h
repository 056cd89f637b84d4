// Pointwise convolutions forward (1x1 filters, stride 1, no padding) of a source that is normalised while it is read,
// in f32 and in bf16 (products of bf16, sums in f32).
//
// Some pixels at a time are normalised and multiplied by the weights while they lie in a cache. Activations are
// channels-last, weights [1][1][C][OC].
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// 8 or 16 channels to at most 16: all weights in registers. Any CPU.
Answer plan_pointwise_few(const PlanContext& ctx, const Convolution& conv);
// By vector products. Declines few source channels and, in bf16, an odd number of them.
Answer plan_pointwise_vector(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
