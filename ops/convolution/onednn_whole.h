// A convolution or one of its gradients by one oneDNN primitive on the whole image, groups included: the last
// candidate, for whatever no other kernel serves.
//
// Weights take whatever layout oneDNN chooses. Grouped weights are the exception: they stay row-major in the graph,
// because oneDNN sees them as 5-D [group,OC/group,C/group,KH,KW], which no 4-D blocked descriptor can express. The
// kernel reorders them (they are small) to and from the blocked form in its scratch memory.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines a border that shows pixels, and what oneDNN has no kernel for.
Answer plan_onednn_whole(const PlanContext& ctx, const Convolution& conv);

// The gradient of a 1x1 convolution's source as a forward convolution with the weights transposed (read by swapped
// strides, not copied). oneDNN 2.6 has faster kernels for that: 1.3 instead of 2.6 ms for 32 channels of bf16 at
// 512x512.
Answer plan_onednn_transposed(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
