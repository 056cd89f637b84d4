// dst = f(a, b), element by element, a and b broadcast against each other as in numpy.
// ONNX Add, Sub, Mul, Div, Pow, PRelu (-7 and later; earlier opsets where their `axis` means the same).
//   Whole numbers are computed with as well: a quotient is cut off, as in C. They have no gradient.
//   Gradients are composed of the same ops; SumTo adds them up over the dimensions along which an operand was
//   broadcast.
// Internal: GreaterMask(a, b) = 1, 1/2, 0 for a >, =, < b: the share of a maximum's gradient that a gets.
//           EqualMask(a, b) = a == b.  PReluMask(x, slope) = d PRelu / dx.
//           PowSlope(x, p) = d x^p / dx = p x^(p - 1), and PowExponentSlope(x, y) = d x^p / dp = y log x with y = x^p;
//           0 where they do not exist: at x = 0 if p < 1, and for x <= 0.
//           GradMul(gradient, slope), 0 where either is 0.
#include <algorithm>

#include "graph/error.h"
#include "ops/elementwise.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/clones.h"
#include "ops/loops/math.h"
#include "ops/loops/strided_loop.h"
#include "ops/loops/whole_numbers.h"

namespace hourglass::ops::binary {
namespace {

using kernels::StridedLoop;

struct Add {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a + b;
  }
};
struct Sub {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a - b;
  }
};
struct Mul {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a * b;
  }
};
struct Div {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a / b;
  }
  static int64_t value(int64_t a, int64_t b) { return kernels::whole_quotient(a, b); }
};
struct Pow {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return b == 2 ? a * a : std::pow(a, b);
  }
  static int64_t value(int64_t a, int64_t b) {
    constexpr double kMost = 0x1p62;
    return static_cast<int64_t>(std::clamp(std::pow(static_cast<double>(a), static_cast<double>(b)), -kMost, kMost));
  }
};
struct PRelu {
  template <class R>
  HG_INLINE static R value(R x, R slope) {
    return x > 0 ? x : slope * x;
  }
};
struct PReluMask {
  template <class R>
  HG_INLINE static R value(R x, R slope) {
    return x > 0 ? R(1) : slope;
  }
};
struct PowSlope {
  template <class R>
  HG_INLINE static R value(R x, R p) {
    if (x == 0 && p < 1) return 0;
    return p == 2 ? 2 * x : p * std::pow(x, p - 1);
  }
};
struct PowExponentSlope {
  template <class R>
  HG_INLINE static R value(R x, R y) {
    return x > 0 ? y * kernels::math::log(x) : R(0);
  }
};
struct GradMul {
  template <class R>
  HG_INLINE static R value(R gradient, R slope) {
    return kernels::math::chain(gradient, slope);
  }
};
struct GreaterMask {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a > b ? R(1) : a == b ? R(0.5) : R(0);
  }
};
struct EqualMask {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a == b ? R(1) : R(0);
  }
};

void infer(InferContext& ctx) {
  if (ctx.inputs[0]->dtype != ctx.inputs[1]->dtype) {
    fail("the operands are {} and {}, expected one type: insert a Cast", ctx.inputs[0]->dtype, ctx.inputs[1]->dtype);
  }
  ctx.outputs.push_back({ctx.inputs[0]->dtype, broadcast(ctx.shape(0), ctx.shape(1))});
}

// The exponent may be of another type than the base.
void infer_pow(InferContext& ctx) {
  ctx.outputs.push_back({ctx.inputs[0]->dtype, broadcast(ctx.shape(0), ctx.shape(1))});
}

// A whole exponent (src^2 with an integer 2) that is a constant.
std::vector<ValueId> lower_pow(LowerContext& ctx) {
  const ValueId base = ctx.node.inputs[0], exponent = ctx.node.inputs[1];
  const DType dtype = ctx.b.graph().type(base).dtype;
  const Value& value = ctx.b.graph().value(exponent);
  if (value.type.dtype == dtype || value.kind != ValueKind::constant || !is_floating(dtype)) return {};
  HostTensor same = *value.data;
  same.dtype = dtype;
  return {ctx.add("Pow", {base, ctx.b.constant(std::move(same), ctx.node.name + "/exponent")})};
}

void infer_prelu(InferContext& ctx) {
  infer(ctx);
  if (ctx.outputs[0].shape != ctx.shape(0)) {
    fail("slope of shape {} does not broadcast to the input's {}; one slope per channel has shape [C, 1, 1]",
         ctx.shape(1), ctx.shape(0));
  }
}

// dst = fn(a, b), broadcast.
template <typename Function>
void reference_by(ReferenceContext& ctx, const Function& fn) {
  HostTensor& dst = ctx.outputs[0];
  const HostTensor &a = *ctx.inputs[0], &b = *ctx.inputs[1];
  const StridedLoop<3> nest{.extents = dst.shape.dims(),
                            .strides = {kernels::broadcast_strides(a.shape, dst.shape),
                                        kernels::broadcast_strides(b.shape, dst.shape), dst.shape.strides()}};
  nest.for_each([&](const auto& at) {
    dst.values[static_cast<std::size_t>(at[2])] =
        fn(a.values[static_cast<std::size_t>(at[0])], b.values[static_cast<std::size_t>(at[1])]);
  });
}

template <class F>
void reference(ReferenceContext& ctx) {
  reference_by(ctx, [](double a, double b) { return F::value(a, b); });
}

// A quotient of whole numbers is cut off, as in C.
template <class F>
void reference_of_any(ReferenceContext& ctx) {
  const DType dtype = ctx.outputs[0].dtype;
  if (is_floating(dtype)) return reference<F>(ctx);
  reference_by(ctx, [dtype](double a, double b) {
    const double y = F::value(a, b);
    if (!std::isfinite(y)) {
      if constexpr (std::is_same_v<F, Div>) fail("division of integers by zero");
      fail("of {} and {} it makes no whole number", a, b);
    }
    if (dtype == DType::i64) return kernels::in_whole_type(y, dtype);
    return kernels::in_whole_type(F::value(static_cast<int64_t>(a), static_cast<int64_t>(b)), dtype);
  });
}

// --- gradients ---

// The gradient of an operand from that of its broadcast form.
ValueId sum_to(VjpContext& ctx, ValueId grad, std::size_t i) {
  const Shape& shape = ctx.in_shape(i);
  if (ctx.b.graph().shape(grad) == shape) return grad;
  return ctx.b.add("SumTo", {grad}, {{"shape", shape.dims()}}, ctx.node.name + "/grad/sum");
}

ValueId emit(VjpContext& ctx, std::string_view op, std::vector<ValueId> inputs) {
  return ctx.b.add(op, std::move(inputs), {}, ctx.node.name + "/grad");
}

void vjp_add(VjpContext& ctx) {
  for (std::size_t i = 0; i < 2; ++i) {
    if (ctx.wants(i)) ctx.set_grad(i, sum_to(ctx, ctx.grad_out(), i));
  }
}

void vjp_sub(VjpContext& ctx) {
  if (ctx.wants(0)) ctx.set_grad(0, sum_to(ctx, ctx.grad_out(), 0));
  if (ctx.wants(1)) ctx.set_grad(1, emit(ctx, "Neg", {sum_to(ctx, ctx.grad_out(), 1)}));
}

void vjp_mul(VjpContext& ctx) {
  for (std::size_t i = 0; i < 2; ++i) {
    if (ctx.wants(i)) ctx.set_grad(i, sum_to(ctx, emit(ctx, "Mul", {ctx.grad_out(), ctx.in(1 - i)}), i));
  }
}

// y = a / b: da = dy / b, db = -(dy / b) y.
void vjp_div(VjpContext& ctx) {
  const ValueId quotient = emit(ctx, "Div", {ctx.grad_out(), ctx.in(1)});
  if (ctx.wants(0)) ctx.set_grad(0, sum_to(ctx, quotient, 0));
  if (ctx.wants(1)) {
    ctx.set_grad(1, emit(ctx, "Neg", {sum_to(ctx, emit(ctx, "Mul", {quotient, ctx.out(0)}), 1)}));
  }
}

void vjp_pow(VjpContext& ctx) {
  const ValueId x = ctx.in(0), dy = ctx.grad_out();
  if (ctx.wants(0)) {
    ctx.set_grad(0, sum_to(ctx, emit(ctx, "GradMul", {dy, emit(ctx, "PowSlope", {x, ctx.in(1)})}), 0));
  }
  if (ctx.wants(1)) {
    ctx.set_grad(1, sum_to(ctx, emit(ctx, "GradMul", {dy, emit(ctx, "PowExponentSlope", {x, ctx.out(0)})}), 1));
  }
}

// d slope = dy min(x, 0), and min(x, 0) = x - Relu(x).
void vjp_prelu(VjpContext& ctx) {
  const ValueId x = ctx.in(0), dy = ctx.grad_out();
  if (ctx.wants(0)) ctx.set_grad(0, emit(ctx, "GradMul", {dy, emit(ctx, "PReluMask", {x, ctx.in(1)})}));
  if (ctx.wants(1)) {
    const ValueId negative = emit(ctx, "Sub", {x, emit(ctx, "Relu", {x})});
    ctx.set_grad(1, sum_to(ctx, emit(ctx, "GradMul", {dy, negative}), 1));
  }
}

// An operand walks with step 1, or stands still (step 0), but not both.
template <class F>
HG_CLONES void row(const float* a, int64_t step_a, const float* b, int64_t step_b, float* dst, int64_t count) {
  if (step_a != 0 && step_b != 0) {
    for (int64_t i = 0; i < count; ++i) dst[i] = F::value(a[i], b[i]);
  } else if (step_a != 0) {
    const float y = *b;
    for (int64_t i = 0; i < count; ++i) dst[i] = F::value(a[i], y);
  } else {
    const float x = *a;
    for (int64_t i = 0; i < count; ++i) dst[i] = F::value(x, b[i]);
  }
}

template <class F>
Row rows(const Attrs&, std::size_t) {
  return [](const RowSource* src, float* dst, int64_t count) {
    row<F>(src[0].data, src[0].step, src[1].data, src[1].step, dst, count);
  };
}

// --- older opsets ---

void normalize_prelu(NormalizeContext& ctx) {
  ctx.attrs.erase("consumed_inputs");
  if (ctx.opset >= 7 || ctx.inputs.size() != 2) return;
  const Shape &x = ctx.graph.shape(ctx.inputs[0]), &slope = ctx.graph.shape(ctx.inputs[1]);
  if (slope.elements() != 1 && slope.rank() < x.rank() - 1) {
    fail("has a slope of shape {} per channel in the manner of opset {}: export with opset 7 or later", slope,
         ctx.opset);
  }
}

template <class F>
KernelPlan plan(PlanContext& ctx) {
  if (is_floating(ctx.out().dtype)) return plan_by_row(ctx);
  return kernels::plan_whole(ctx, kernels::whole_step([](int64_t a, int64_t b) { return F::value(a, b); }));
}

template <class F>
OpDef public_op(std::string_view name, void (*vjp)(VjpContext&)) {
  return {.name = name,
          .min_inputs = 2,
          .max_inputs = 2,
          .normalize = kernels::normalize_broadcast,
          .infer = infer,
          .vjp = vjp,
          .plan = plan<F>,
          .row = rows<F>,
          .reference = reference_of_any<F>,
          .bf16_inputs = 0b11};
}

template <class F>
OpDef internal_op(std::string_view name) {
  return {.name = name,
          .internal = true,
          .min_inputs = 2,
          .max_inputs = 2,
          .infer = infer,
          .plan = plan_by_row,
          .row = rows<F>,
          .reference = reference<F>,
          .bf16_inputs = 0b11};
}

std::vector<OpDef> make_table() {
  std::vector<OpDef> ops = {
      public_op<Add>("Add", vjp_add),          public_op<Sub>("Sub", vjp_sub),
      public_op<Mul>("Mul", vjp_mul),          public_op<Div>("Div", vjp_div),
      public_op<Pow>("Pow", vjp_pow),          public_op<PRelu>("PRelu", vjp_prelu),
      internal_op<GreaterMask>("GreaterMask"), internal_op<EqualMask>("EqualMask"),
      internal_op<PReluMask>("PReluMask"),     internal_op<PowSlope>("PowSlope"),
      internal_op<GradMul>("GradMul"),         internal_op<PowExponentSlope>("PowExponentSlope"),
  };
  for (OpDef& op : ops) {
    if (op.name == "Pow") op.infer = infer_pow;
    if (op.name == "Pow") op.lower = lower_pow;
    if (op.name == "PRelu" || op.name == "PReluMask") op.infer = infer_prelu;
    if (op.name == "PRelu") op.normalize = normalize_prelu;
  }
  return ops;
}

}  // namespace

std::span<const OpDef> family() {
  static const std::vector<OpDef> ops = make_table();
  return ops;
}

}  // namespace hourglass::ops::binary
