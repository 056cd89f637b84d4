// Comparisons and truth values, which the importer folds out of shape computations, and Where, which also chooses
// between activations.                                        ONNX ops of the same names.
//   Equal, Greater, GreaterOrEqual, Less, LessOrEqual, And, Or, Xor, Not, Mod: references only.
//   Where: dst = condition ? x : y, all three broadcast.  dx = condition ? dy : 0, d y = condition ? 0 : dy.
#include "graph/error.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/strided_loop.h"

#include <cmath>
#include <functional>

namespace hourglass::ops {
namespace {

using kernels::StridedLoop;

void infer_compare(InferContext& ctx) {
  if (ctx.inputs[0]->dtype != ctx.inputs[1]->dtype) {
    fail("the operands are {} and {}, expected one type: insert a Cast", ctx.inputs[0]->dtype, ctx.inputs[1]->dtype);
  }
  ctx.outputs.push_back({DType::boolean, broadcast(ctx.shape(0), ctx.shape(1))});
}

void infer_mod(InferContext& ctx) {
  infer_compare(ctx);
  ctx.outputs[0].dtype = ctx.inputs[0]->dtype;
}

void infer_not(InferContext& ctx) { ctx.outputs.push_back({DType::boolean, ctx.shape(0)}); }
void reference_not(ReferenceContext& ctx) {
  for (std::size_t i = 0; i < ctx.inputs[0]->values.size(); ++i) {
    ctx.outputs[0].values[i] = ctx.inputs[0]->values[i] == 0;
  }
}

template <typename Function>
void for_pairs(ReferenceContext& ctx, const Function& function) {
  const HostTensor &a = *ctx.inputs[0], &b = *ctx.inputs[1];
  HostTensor& dst = ctx.outputs[0];
  const StridedLoop<3> nest{.extents = dst.shape.dims(),
                            .strides = {kernels::broadcast_strides(a.shape, dst.shape),
                                        kernels::broadcast_strides(b.shape, dst.shape), dst.shape.strides()}};
  nest.for_each([&](const auto& at) {
    dst.values[static_cast<std::size_t>(at[2])] =
        function(a.values[static_cast<std::size_t>(at[0])], b.values[static_cast<std::size_t>(at[1])]);
  });
}

template <auto kCompare>
void reference_compare(ReferenceContext& ctx) {
  for_pairs(ctx, [](double a, double b) { return kCompare(a, b) ? 1.0 : 0.0; });
}

// fmod = 0: the result has the divisor's sign, as in Python; 1: the dividend's, as in C.
void reference_mod(ReferenceContext& ctx) {
  const bool as_c = ctx.attrs.integer("fmod") != 0;
  for_pairs(ctx, [&](double a, double b) {
    if (b == 0 && !is_floating(ctx.outputs[0].dtype)) fail("division of integers by zero");
    const double rest = std::fmod(a, b);
    return !as_c && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  });
}

template <auto kCompare>
OpDef compare(std::string_view name) {
  return {.name = name,
          .min_inputs = 2,
          .max_inputs = 2,
          .normalize = kernels::normalize_broadcast,
          .infer = infer_compare,
          .no_gradient = "its result is a truth value",
          .reference = reference_compare<kCompare>};
}

// --- Where ---

void infer_where(InferContext& ctx) {
  if (ctx.inputs[0]->dtype != DType::boolean) fail("the condition is {}, expected bool", ctx.inputs[0]->dtype);
  if (ctx.inputs[1]->dtype != ctx.inputs[2]->dtype) {
    fail("the choices are {} and {}, expected one type: insert a Cast", ctx.inputs[1]->dtype, ctx.inputs[2]->dtype);
  }
  ctx.outputs.push_back({ctx.inputs[1]->dtype, broadcast(ctx.shape(0), broadcast(ctx.shape(1), ctx.shape(2)))});
}

StridedLoop<4> where_nest(const Shape& condition, const Shape& x, const Shape& y, const Shape& dst) {
  return {.extents = dst.dims(),
          .strides = {kernels::broadcast_strides(condition, dst), kernels::broadcast_strides(x, dst),
                      kernels::broadcast_strides(y, dst), dst.strides()}};
}

void reference_where(ReferenceContext& ctx) {
  const HostTensor &condition = *ctx.inputs[0], &x = *ctx.inputs[1], &y = *ctx.inputs[2];
  HostTensor& dst = ctx.outputs[0];
  where_nest(condition.shape, x.shape, y.shape, dst.shape).for_each([&](const auto& at) {
    dst.values[static_cast<std::size_t>(at[3])] = condition.values[static_cast<std::size_t>(at[0])] != 0
                                                      ? x.values[static_cast<std::size_t>(at[1])]
                                                      : y.values[static_cast<std::size_t>(at[2])];
  });
}

void vjp_where(VjpContext& ctx) {
  const DType dtype = ctx.b.graph().type(ctx.grad_out()).dtype;
  const ValueId zero = ctx.b.constant(HostTensor::scalar(dtype, 0), ctx.node.name + "/zero");
  for (std::size_t i = 1; i <= 2; ++i) {
    if (!ctx.wants(i)) continue;
    const Shape shape = ctx.in_shape(i);
    ValueId grad = ctx.b.add("Where", {ctx.in(0), i == 1 ? ctx.grad_out() : zero, i == 1 ? zero : ctx.grad_out()}, {},
                             ctx.node.name + "/grad");
    if (ctx.b.graph().shape(grad) != shape) {
      grad = ctx.b.add("SumTo", {grad}, {{"shape", shape.dims()}}, ctx.node.name + "/grad/sum");
    }
    ctx.set_grad(i, grad);
  }
}

KernelPlan plan_where(PlanContext& ctx) {
  const TensorType& out = ctx.out();
  if (out.dtype != DType::f32 && out.dtype != DType::bf16) fail("kernels compute with f32 or bf16, not {}", out.dtype);
  StridedLoop<4> nest = where_nest(ctx.in(0).shape, ctx.in(1).shape, ctx.in(2).shape, out.shape);
  nest.collapse();
  KernelPlan plan{.src = {kernels::plain(ctx.in(0)), kernels::plain(ctx.in(1)), kernels::plain(ctx.in(2))},
                  .dst = {kernels::plain(out)},
                  .implementation = "loop",
                  .kernel = nullptr};
  kernels::with_element(out.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([nest](const Addresses& at) {
      nest.for_rows([&](const auto& offset, int64_t count) {
        const auto* condition = static_cast<const uint8_t*>(at.src[0]) + offset[0];
        const auto* x = static_cast<const T*>(at.src[1]) + offset[1];
        const auto* y = static_cast<const T*>(at.src[2]) + offset[2];
        auto* dst = static_cast<T*>(at.dst[0]) + offset[3];
        for (int64_t j = 0; j < count; ++j) {
          dst[j] = condition[j * nest.step(0)] != 0 ? x[j * nest.step(1)] : y[j * nest.step(2)];
        }
      });
    });
  });
  return plan;
}

}  // namespace

std::span<const OpDef> logic_ops() {
  static const OpDef ops[] = {
      compare<std::equal_to<double>{}>("Equal"),
      compare<std::greater<double>{}>("Greater"),
      compare<std::greater_equal<double>{}>("GreaterOrEqual"),
      compare<std::less<double>{}>("Less"),
      compare<std::less_equal<double>{}>("LessOrEqual"),
      compare<[](double a, double b) { return a != 0 && b != 0; }>("And"),
      compare<[](double a, double b) { return a != 0 || b != 0; }>("Or"),
      compare<[](double a, double b) { return (a != 0) != (b != 0); }>("Xor"),
      {.name = "Not", .infer = infer_not, .no_gradient = "its result is a truth value", .reference = reference_not},
      {.name = "Mod",
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"fmod", int64_t{0}}},
       .infer = infer_mod,
       .no_gradient = "a remainder is meant for shapes",
       .reference = reference_mod},
      {.name = "Where",
       .since = 9,
       .min_inputs = 3,
       .max_inputs = 3,
       .infer = infer_where,
       .vjp = vjp_where,
       .plan = plan_where,
       .reference = reference_where,
       .bf16_inputs = 0b110},
  };
  return ops;
}

}  // namespace hourglass::ops
