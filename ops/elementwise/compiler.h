// Compiles elementwise nodes that read each other, or one alone, to one kernel (ops/elementwise/program.h).
//
// Inputs are broadcast to the images' shape as in numpy. Outputs have the layout of an input of that shape, and may
// take over the memory of any of them. A layout that pads channels becomes row-major: networks are planned
// channels-last, where nothing is padded.
#pragma once

#include <span>
#include <string>

#include "graph/graph.h"
#include "graph/shape.h"
#include "ops/kernel.h"

namespace hourglass::kernels {

// What `body` makes of the inputs of the context's node: elementwise ops of images of shape `shape`, the Casts between
// them, and sums over them to one number.
KernelPlan plan_elementwise(const PlanContext& ctx, std::span<const Node> body, const Shape& shape,
                            std::string implementation);

}  // namespace hourglass::kernels
