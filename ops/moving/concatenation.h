// Kernels of Concat and Split: channels of channels-last images side by side, pixel by pixel; all else box by box, each
// in its own layout.
#pragma once

#include "ops/kernel.h"

namespace hourglass::kernels {

// All inputs one behind the other along the axis.
KernelPlan plan_concatenation(PlanContext& ctx, int axis);
// Its inverse: input 0 is the concatenation of all outputs.
KernelPlan plan_split(PlanContext& ctx, int axis);

}  // namespace hourglass::kernels
