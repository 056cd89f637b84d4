// ResizeGrad as a pass after a convolution's gradient of its source, for kernels that can't combine the two: the
// source's first channels are an image that was resized, and its gradient is mapped back to the small image by the
// transposed taps.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// `plan` makes the gradient of the whole source; conv.normalized says which channels were resized, and from which
// shape. Outputs: the gradient of that image before the resize, and that of the other channels where there are any.
KernelPlan before_resize_gradient(const PlanContext& ctx, const Convolution& conv, KernelPlan plan);

}  // namespace hourglass::kernels
