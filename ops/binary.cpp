// dst = f(a, b), element by element, a and b broadcast against each other as in numpy.
// ONNX Add, Sub, Mul, Div, Pow, PRelu (-7 and later; earlier opsets where their `axis` means the same).
//   Gradients are composed of the same ops; SumTo adds them up over the dimensions along which an operand was
//   broadcast.
// Internal: GreaterMask(a, b) = 1, 1/2, 0 for a >, =, < b: the share of a maximum's gradient that a gets.
//           EqualMask(a, b) = a == b.  PReluMask(x, slope) = d PRelu / dx.
#include "graph/error.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/math.h"
#include "ops/loops/parallel.h"
#include "ops/loops/strided_loop.h"
#include "ops/memory/view.h"

namespace hourglass::ops {
namespace {

using kernels::StridedLoop;
using kernels::View;

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
};
struct Pow {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return b == 2 ? a * a : std::pow(a, b);
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

template <class F>
void reference(ReferenceContext& ctx) {
  HostTensor& dst = ctx.outputs[0];
  const HostTensor &a = *ctx.inputs[0], &b = *ctx.inputs[1];
  const bool whole = !is_floating(dst.dtype);
  const StridedLoop<3> nest{.extents = dst.shape.dims(),
                            .strides = {kernels::broadcast_strides(a.shape, dst.shape),
                                        kernels::broadcast_strides(b.shape, dst.shape), dst.shape.strides()}};
  nest.for_each([&](const auto& at) {
    const double y = F::value(a.values[static_cast<std::size_t>(at[0])], b.values[static_cast<std::size_t>(at[1])]);
    if (whole && !std::isfinite(y)) fail("division of integers by zero");
    dst.values[static_cast<std::size_t>(at[2])] = whole ? std::trunc(y) : y;  // integers divide as in C
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

ValueId scalar(VjpContext& ctx, double value) {
  return ctx.b.constant(HostTensor::scalar(ctx.b.graph().type(ctx.in(0)).dtype, value), ctx.node.name + "/constant");
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

// y = x^p: dx = dy p x^(p - 1), dp = dy y log x.
void vjp_pow(VjpContext& ctx) {
  const ValueId x = ctx.in(0), p = ctx.in(1), dy = ctx.grad_out();
  if (ctx.wants(0)) {
    const ValueId slope = emit(ctx, "Mul", {emit(ctx, "Pow", {x, emit(ctx, "Sub", {p, scalar(ctx, 1)})}), p});
    ctx.set_grad(0, sum_to(ctx, emit(ctx, "Mul", {dy, slope}), 0));
  }
  if (ctx.wants(1)) {
    const ValueId slope = emit(ctx, "Mul", {ctx.out(0), emit(ctx, "Log", {x})});
    ctx.set_grad(1, sum_to(ctx, emit(ctx, "Mul", {dy, slope}), 1));
  }
}

// d slope = dy min(x, 0), and min(x, 0) = x - Relu(x).
void vjp_prelu(VjpContext& ctx) {
  const ValueId x = ctx.in(0), dy = ctx.grad_out();
  if (ctx.wants(0)) ctx.set_grad(0, emit(ctx, "Mul", {dy, emit(ctx, "PReluMask", {x, ctx.in(1)})}));
  if (ctx.wants(1)) {
    const ValueId negative = emit(ctx, "Sub", {x, emit(ctx, "Relu", {x})});
    ctx.set_grad(1, sum_to(ctx, emit(ctx, "Mul", {dy, negative}), 1));
  }
}

// --- kernels ---

// x: pixels of `block` channels side by side; channel: one value per channel of the block.
template <class F, bool kSwapped, class T>
HG_CLONES void channel_row(const T* x, const float* channel, T* dst, int64_t pixels, int64_t block) {
  using kernels::load, kernels::store;
  for (int64_t w = 0; w < pixels; ++w) {
    for (int64_t c = 0; c < block; ++c) {
      const float value = load(x + w * block + c);
      store(dst + w * block + c, kSwapped ? F::value(channel[c], value) : F::value(value, channel[c]));
    }
  }
}

enum class Pattern : uint8_t { same, scalar, channel, general };

// How `other` meets `major`, which has the output's shape.
Pattern pattern_of(const Shape& major, const Shape& other) {
  if (major == other) return Pattern::same;
  if (other.elements() == 1) return Pattern::scalar;
  const bool per_channel = major.rank() == 4 && other.rank() >= 3 && other.rank() <= 4 && other[-3] == major[1] &&
                           other.elements() == major[1];
  return per_channel ? Pattern::channel : Pattern::general;
}

template <class F, class T>
std::unique_ptr<Kernel> same_kernel(const kernels::ElementWalk& walk, int64_t step_a, int64_t step_b) {
  return loop_kernel([=](const Addresses& at) {
    const auto* a = static_cast<const T*>(at.src[0]);
    const auto* b = static_cast<const T*>(at.src[1]);
    auto* dst = static_cast<T*>(at.dst[0]);
    walk.run(dst, [&](int64_t i, int64_t count) {
      kernels::row<F>(a + i * step_a, step_a, b + i * step_b, step_b, dst + i, count);
    });
  });
}

// The channels' values are spread into scratch as float, with zeros behind the last.
template <class F, class T>
std::unique_ptr<Kernel> channel_kernel(const View& v, std::size_t major) {
  return loop_kernel([=](const Addresses& at) {
    const auto* x = static_cast<const T*>(at.src[major]);
    const auto* values = static_cast<const T*>(at.src[1 - major]);
    auto* dst = static_cast<T*>(at.dst[0]);
    auto* channel = static_cast<float*>(at.scratch);
    for (int64_t c = 0; c < v.groups * v.block; ++c) channel[c] = c < v.c ? kernels::load(values + c) : 0;
    kernels::parallel_for(v.n * v.groups * v.h, [&](int64_t i) {
      const int64_t g = i / v.h % v.groups;
      const int64_t offset = v.offset(i / (v.h * v.groups), g, i % v.h, 0);
      const float* of_group = channel + g * v.block;
      if (v.block == 1) {
        T value;
        kernels::store(&value, *of_group);
        if (major == 0) {
          kernels::row<F>(x + offset, 1, &value, 0, dst + offset, v.w);
        } else {
          kernels::row<F>(&value, 0, x + offset, 1, dst + offset, v.w);
        }
      } else if (major == 0) {
        channel_row<F, false>(x + offset, of_group, dst + offset, v.w, v.block);
      } else {
        channel_row<F, true>(x + offset, of_group, dst + offset, v.w, v.block);
      }
      kernels::ElementWalk::zero_lanes(dst + offset, v.w, v.block, v.lanes(g));
    });
  });
}

template <class F, class T>
std::unique_ptr<Kernel> general_kernel(StridedLoop<3> nest) {
  nest.collapse();
  return loop_kernel([nest](const Addresses& at) {
    const auto* a = static_cast<const T*>(at.src[0]);
    const auto* b = static_cast<const T*>(at.src[1]);
    auto* dst = static_cast<T*>(at.dst[0]);
    nest.for_rows([&](const auto& offset, int64_t count) {
      kernels::row<F>(a + offset[0], nest.step(0), b + offset[1], nest.step(1), dst + offset[2], count);
    });
  });
}

template <class F>
KernelPlan plan(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  const TensorType& out = ctx.out();
  const bool is_bf16 = out.dtype == DType::bf16;
  const Shape &a = ctx.in(0).shape, &b = ctx.in(1).shape;
  // The operand that sets the layout: of two of the same shape, one that a kernel made.
  std::size_t major = a == out.shape ? 0 : 1;
  const auto computed = [&](std::size_t i) { return ctx.graph.value(ctx.node.inputs[i]).kind == ValueKind::computed; };
  if (a == b && !computed(0) && computed(1)) major = 1;
  const TensorType &big = ctx.in(major), &other = ctx.in(1 - major);
  Pattern pattern = big.shape == out.shape ? pattern_of(big.shape, other.shape) : Pattern::general;
  MemoryDesc desc = kernels::plain(out);
  if (pattern == Pattern::same || pattern == Pattern::scalar) {
    desc = kernels::elementwise_layout(ctx.src[major], big);
  } else if (pattern == Pattern::channel) {
    const bool dense = kernels::is_viewable(ctx.src[major]) && kernels::view_of(ctx.src[major]).dense_rows();
    desc = dense ? ctx.src[major] : kernels::plain(out);
  }

  KernelPlan result{.src = {2, desc}, .dst = {desc}, .implementation = "loop", .kernel = nullptr};
  if (pattern != Pattern::same) {
    result.src = {kernels::plain(ctx.in(0)), kernels::plain(ctx.in(1))};
    if (pattern != Pattern::general) result.src[major] = desc;
  }
  if (a == out.shape) result.in_place.emplace_back(0, 0);
  if (b == out.shape) result.in_place.emplace_back(0, 1);
  if (pattern == Pattern::channel) {
    const View v = kernels::view_of(desc);
    result.scratch_bytes = static_cast<std::size_t>(v.groups * v.block) * sizeof(float);
  }
  const kernels::ElementWalk walk(desc, pattern == Pattern::same && F::value(0.0F, 0.0F) == 0);
  kernels::with_element(is_bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    switch (pattern) {
      case Pattern::same: result.kernel = same_kernel<F, T>(walk, 1, 1); break;
      case Pattern::scalar: result.kernel = same_kernel<F, T>(walk, major == 0 ? 1 : 0, major == 0 ? 0 : 1); break;
      case Pattern::channel: result.kernel = channel_kernel<F, T>(kernels::view_of(desc), major); break;
      case Pattern::general:
        result.kernel =
            general_kernel<F, T>({.extents = out.shape.dims(),
                                  .strides = {kernels::broadcast_strides(a, out.shape),
                                              kernels::broadcast_strides(b, out.shape), out.shape.strides()}});
        break;
    }
  });
  return result;
}

template <class F>
Row rows(const Attrs&, std::size_t) {
  return [](const RowSource* src, float* dst, int64_t count) {
    kernels::row<F>(src[0].data, src[0].step, src[1].data, src[1].step, dst, count);
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
OpDef public_op(std::string_view name, void (*vjp)(VjpContext&)) {
  return {.name = name,
          .min_inputs = 2,
          .max_inputs = 2,
          .normalize = kernels::normalize_broadcast,
          .infer = infer,
          .vjp = vjp,
          .plan = plan<F>,
          .row = rows<F>,
          .reference = reference<F>,
          .bf16_inputs = 0b11};
}

template <class F>
OpDef internal_op(std::string_view name) {
  return {.name = name,
          .internal = true,
          .min_inputs = 2,
          .max_inputs = 2,
          .infer = infer,
          .plan = plan<F>,
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
      internal_op<PReluMask>("PReluMask"),
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

std::span<const OpDef> binary_ops() {
  static const std::vector<OpDef> ops = make_table();
  return ops;
}

}  // namespace hourglass::ops
