// plan_by_row(): the kernel of an elementwise op by itself, from its OpDef::row.
// Internal: Elementwise computes Node::body, elementwise ops of images of one shape, the Casts between them, and sums
//   over them to one number. Inputs are such images, f32 or bf16, and numbers. graph/fuse_elementwise.h:
//   fuse_elementwise() makes these nodes.
#include "ops/elementwise.h"

#include <string_view>
#include <vector>

#include "graph/text.h"
#include "ops/elementwise/compiler.h"
#include "ops/loops/element_walk.h"

namespace hourglass::ops::elementwise {
namespace {

KernelPlan plan_body(PlanContext& ctx) {
  std::vector<std::string_view> ops;
  for (const Node& node : ctx.node.body) {
    if (node.op->name != "Cast") ops.push_back(node.op->name);
  }
  std::size_t largest = 0;
  for (std::size_t i = 1; i < ctx.node.inputs.size(); ++i) {
    if (ctx.in(i).shape.elements() > ctx.in(largest).shape.elements()) largest = i;
  }
  return kernels::plan_elementwise(ctx, ctx.node.body, ctx.in(largest).shape,
                                   fmt::format("loop of {}", join(ops, ", ")));
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Elementwise", .internal = true, .max_inputs = 1 << 20, .plan = plan_body},
  };
  return ops;
}

}  // namespace hourglass::ops::elementwise

namespace hourglass::ops {

KernelPlan plan_by_row(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  return kernels::plan_elementwise(ctx, {&ctx.node, 1}, ctx.out().shape, "loop");
}

}  // namespace hourglass::ops
