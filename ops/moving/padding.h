// Kernels of Pad and PadGrad, row by row: a row is copied in one stretch, with its border around it. Activations that
// are padded in H and W keep their layout; all else is row-major.
#pragma once

#include <vector>

#include "graph/shape.h"
#include "ops/kernel.h"

namespace hourglass::kernels {

struct Padding {
  Dims pads;               // before each axis, then behind each; negative ones crop
  std::vector<Dims> maps;  // of each axis: src's index for each of dst's, or kOutside (ops/geometry/padding_mode.h)
  float value = 0;         // outside
};

KernelPlan plan_padding(PlanContext& ctx, const Padding& padding);
KernelPlan plan_padding_gradient(PlanContext& ctx, const Padding& padding);

}  // namespace hourglass::kernels
