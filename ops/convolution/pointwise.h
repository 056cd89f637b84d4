// Pointwise convolutions forward (1x1 filters, stride 1, no padding) of a source that is normalised while it is read,
// in f32 and in bf16 (products of bf16, sums in f32).
//
// Some pixels at a time are normalised and multiplied by the weights while they lie in a cache. Activations are
// channels-last, weights [1][1][C][OC].
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"

namespace hourglass::detail {

// For one group. Absent where the convolution is of another kind; where bf16 has AMX, which needs none of this; and,
// but for 8 or 16 channels to at most 16, with few source channels or, in bf16, an odd number of them, and where the
// CPU lacks AVX2 (for bf16: AVX512_BF16).
std::optional<KernelPlan> plan_pointwise(const Convolution& conv);

}  // namespace hourglass::detail
