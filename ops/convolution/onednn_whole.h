// oneDNN's convolution of the whole image, in any direction and in groups: what is left when nothing is faster.
//
// Weights take whatever layout oneDNN chooses, except that grouped weights stay row-major in the graph: oneDNN sees
// them as 5-D [group,OC/group,C/group,KH,KW], which no 4-D blocked descriptor can say, so the kernel itself reorders
// them (they are small) to and from the blocked form in its scratch memory.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines a border that is not constant, and what oneDNN has no kernel for.
Answer plan_onednn_whole(const PlanContext& ctx, const Convolution& conv);

// The gradient of a pointwise convolution's source as a forward convolution with the weights transposed. oneDNN 2.6 has
// faster kernels for that: 1.3 instead of 2.6 ms for 32 channels of bf16 at 512x512.
Answer plan_onednn_transposed(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
