// For a kernel that can't: ResizeGrad behind a convolution's gradient of its source, whose first channels are an image
// that was resized.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// `plan` makes the gradient of the whole source; conv.normalized says what of it was resized, and from which shape.
// Outputs: the gradients of that image as it was before, and of the other channels where there are any.
KernelPlan before_resize_gradient(const PlanContext& ctx, const Convolution& conv, KernelPlan plan);

}  // namespace hourglass::kernels
