// Mod: dst = a - b q, both broadcast.                                                            ONNX Mod-13 (from 10)
//   fmod = 0: q = floor(a / b), so that dst has the divisor's sign, as in Python; 1: q = trunc(a / b), as C's fmod.
//   da = dy; db = -q dy = dy (dst - a) / b. The jumps of dst, where q changes, are ignored.
#include <cmath>

#include "graph/error.h"
#include "ops/elementwise.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/strided_loop.h"
#include "ops/loops/whole_numbers.h"

namespace hourglass::ops::mod {
namespace {

using kernels::StridedLoop;

void infer(InferContext& ctx) {
  if (ctx.inputs[0]->dtype != ctx.inputs[1]->dtype) {
    fail("the operands are {} and {}, expected one type: insert a Cast", ctx.inputs[0]->dtype, ctx.inputs[1]->dtype);
  }
  ctx.outputs.push_back({ctx.inputs[0]->dtype, broadcast(ctx.shape(0), ctx.shape(1))});
}

template <class R>
R remainder(R a, R b, bool as_c) {
  const R rest = std::fmod(a, b);
  return !as_c && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

void reference(ReferenceContext& ctx) {
  const HostTensor &a = *ctx.inputs[0], &b = *ctx.inputs[1];
  HostTensor& dst = ctx.outputs[0];
  const bool as_c = ctx.attrs.integer("fmod") != 0;
  const StridedLoop<3> nest{.extents = dst.shape.dims(),
                            .strides = {kernels::broadcast_strides(a.shape, dst.shape),
                                        kernels::broadcast_strides(b.shape, dst.shape), dst.shape.strides()}};
  nest.for_each([&](const auto& at) {
    const double divisor = b.values[static_cast<std::size_t>(at[1])];
    if (divisor == 0 && !is_floating(dst.dtype)) fail("division of integers by zero");
    dst.values[static_cast<std::size_t>(at[2])] = remainder(a.values[static_cast<std::size_t>(at[0])], divisor, as_c);
  });
}

void vjp(VjpContext& ctx) {
  const auto emit = [&](std::string_view op, std::vector<ValueId> inputs) {
    return ctx.b.add(op, std::move(inputs), {}, ctx.node.name + "/grad");
  };
  const auto sum_to = [&](ValueId grad, std::size_t i) {
    const Shape shape = ctx.in_shape(i);  // a copy: adding nodes moves values
    if (ctx.b.graph().shape(grad) == shape) return grad;
    return ctx.b.add("SumTo", {grad}, {{"shape", shape.dims()}}, ctx.node.name + "/grad/sum");
  };
  if (ctx.wants(0)) ctx.set_grad(0, sum_to(ctx.grad_out(), 0));
  if (!ctx.wants(1)) return;
  const ValueId slope = emit("Div", {emit("Sub", {ctx.out(0), ctx.in(0)}), ctx.in(1)});
  ctx.set_grad(1, sum_to(emit("GradMul", {ctx.grad_out(), slope}), 1));
}

int64_t whole_remainder(int64_t a, int64_t b, bool as_c) {
  const int64_t rest = kernels::whole_rest(a, b);
  return !as_c && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

KernelPlan plan(PlanContext& ctx) {
  if (is_floating(ctx.out().dtype)) return plan_by_row(ctx);
  const bool as_c = ctx.node.attrs.integer("fmod") != 0;
  return kernels::plan_whole(ctx,
                             kernels::whole_step([as_c](int64_t a, int64_t b) { return whole_remainder(a, b, as_c); }));
}

Row rows(const Attrs& attrs, std::size_t) {
  return [as_c = attrs.integer("fmod") != 0](const RowSource* src, float* dst, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      dst[i] = remainder(src[0].data[i * src[0].step], src[1].data[i * src[1].step], as_c);
    }
  };
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {{.name = "Mod",
                               .since = 10,
                               .min_inputs = 2,
                               .max_inputs = 2,
                               .attrs = {{"fmod", int64_t{0}}},
                               .infer = infer,
                               .vjp = vjp,
                               .plan = plan,
                               .row = rows,
                               .reference = reference,
                               .bf16_inputs = 0b11}};
  return ops;
}

}  // namespace hourglass::ops::mod
