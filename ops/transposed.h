// Shape rule and gradient rule of ops that are linear maps chosen by attributes alone (Gather, Slice, GridSample): the
// gradient is the transposed map, an op named OPGrad that takes diff_dst and has the op's attributes, with src's shape
// as `shape`.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "graph/error.h"
#include "graph/op.h"

namespace hourglass::ops {

// diff_src = grad_op(diff_dst).
inline void vjp_transposed(VjpContext& ctx, std::string_view grad_op) {
  Attrs attrs = ctx.node.attrs;
  attrs.set("shape", ctx.in_shape(0).dims());
  ctx.set_grad(0, ctx.b.add(grad_op, {ctx.grad_out()}, std::move(attrs), ctx.node.name + "/grad"));
}

// The shape of diff_src; dst_shape(attributes, src) is that of dst, which diff_dst must have.
template <typename DstShape>
void infer_transposed(InferContext& ctx, const DstShape& dst_shape) {
  const Shape src(ctx.attrs.ints("shape"));
  const Shape expected = dst_shape(ctx.attrs, src);
  if (ctx.shape(0) != expected) fail("diff_dst is {}, expected {}", ctx.shape(0), expected);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, src});
}

}  // namespace hourglass::ops
