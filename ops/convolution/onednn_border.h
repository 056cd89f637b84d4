// The gradient of a convolution's source where its border shows the image's own pixels: one primitive makes it as if
// zeros stood around the image, straight into the result; what falls on the border is made beside, in strips as wide
// as the padding, and added to the pixels that the border shows.
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"

namespace hourglass::detail {

// Inputs diff_dst and weights, output diff_src, channels-last. Empty where it can't, or where bands (see
// ops/convolution/onednn_bands.h) are faster.
std::optional<KernelPlan> plan_bordered_grad_src(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::detail
