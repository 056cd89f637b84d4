// Max, Min, Sum, Mean of one or more operands, broadcast against each other.        ONNX ops of the same names, -8.
//   d Sum = dy for each operand, d Mean = dy / n. Max and Min are chains of two operands, whose gradient the larger
//   (smaller) one gets, and equal ones share.
#include "graph/error.h"
#include "ops/elementwise.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/clones.h"
#include "ops/loops/math.h"
#include "ops/loops/strided_loop.h"
#include "ops/loops/whole_numbers.h"

namespace hourglass::ops::variadic {
namespace {

using kernels::StridedLoop;

constexpr int kManyInputs = 1 << 20;

struct Sum {
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a + b;
  }
};
struct Mean : Sum {};
struct Max {
  static constexpr std::string_view kName = "Max";
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a > b ? a : b;
  }
};
struct Min {
  static constexpr std::string_view kName = "Min";
  template <class R>
  HG_INLINE static R value(R a, R b) {
    return a < b ? a : b;
  }
};

void infer(InferContext& ctx) {
  TensorType out = *ctx.inputs[0];
  for (std::size_t i = 1; i < ctx.inputs.size(); ++i) {
    if (!ctx.has(i)) fail("input {} is missing", i);
    if (ctx.inputs[i]->dtype != out.dtype) {
      fail("the operands are {} and {}, expected one type: insert a Cast", out.dtype, ctx.inputs[i]->dtype);
    }
    out.shape = broadcast(out.shape, ctx.shape(i));
  }
  ctx.outputs.push_back(std::move(out));
}

template <class F>
void reference(ReferenceContext& ctx) {
  HostTensor& dst = ctx.outputs[0];
  for (std::size_t i = 0; i < ctx.inputs.size(); ++i) {
    const HostTensor& src = *ctx.inputs[i];
    const StridedLoop<2> nest{.extents = dst.shape.dims(),
                              .strides = {kernels::broadcast_strides(src.shape, dst.shape), dst.shape.strides()}};
    nest.for_each([&](const auto& at) {
      double& y = dst.values[static_cast<std::size_t>(at[1])];
      const double x = src.values[static_cast<std::size_t>(at[0])];
      y = i == 0 ? x : F::value(y, x);
    });
  }
  if (std::is_same_v<F, Mean>) {
    for (double& y : dst.values) y /= static_cast<double>(ctx.inputs.size());
  }
}

ValueId emit(VjpContext& ctx, std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {}) {
  return ctx.b.add(op, std::move(inputs), std::move(attrs), ctx.node.name + "/grad");
}

ValueId sum_to(VjpContext& ctx, ValueId grad, const Shape& shape) {
  return ctx.b.graph().shape(grad) == shape ? grad : emit(ctx, "SumTo", {grad}, {{"shape", shape.dims()}});
}

template <class F>
void vjp_sum(VjpContext& ctx) {
  const std::size_t count = ctx.node.inputs.size();
  ValueId dy = ctx.grad_out();
  if (std::is_same_v<F, Mean> && count > 1) {
    const HostTensor share = HostTensor::scalar(ctx.b.graph().type(dy).dtype, 1 / static_cast<double>(count));
    dy = emit(ctx, "Mul", {dy, ctx.b.constant(share, ctx.node.name + "/constant")});
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (ctx.wants(i)) ctx.set_grad(i, sum_to(ctx, dy, Shape(ctx.in_shape(i))));
  }
}

// With p_0 = x_0 and p_i = max(p_(i-1), x_i), the gradient walks back from the last p, which is dst.
template <class F>
void vjp_extreme(VjpContext& ctx) {
  const std::size_t count = ctx.node.inputs.size();
  std::vector<ValueId> prefix{ctx.in(0)};
  for (std::size_t i = 1; i + 1 < count; ++i) prefix.push_back(emit(ctx, F::kName, {prefix.back(), ctx.in(i)}));
  const auto share = [&](ValueId dy, ValueId a, ValueId b) {
    if (std::is_same_v<F, Min>) std::swap(a, b);
    return emit(ctx, "GradMul", {dy, emit(ctx, "GreaterMask", {a, b})});
  };
  ValueId dy = ctx.grad_out();
  for (std::size_t i = count - 1; i > 0; --i) {
    const ValueId before = prefix[i - 1], x = ctx.in(i);
    if (ctx.wants(i)) ctx.set_grad(i, sum_to(ctx, share(dy, x, before), Shape(ctx.in_shape(i))));
    bool wants_before = false;
    for (std::size_t k = 0; k < i; ++k) wants_before = wants_before || ctx.wants(k);
    if (!wants_before) return;
    dy = sum_to(ctx, share(dy, before, x), Shape(ctx.b.graph().shape(before)));
  }
  ctx.set_grad(0, dy);
}

template <class F>
HG_CLONES void gather_row(const RowSource& src, float* acc, int64_t count) {
  if (src.step == 1) {
    for (int64_t i = 0; i < count; ++i) acc[i] = F::value(acc[i], src.data[i]);
  } else {
    const float number = *src.data;
    for (int64_t i = 0; i < count; ++i) acc[i] = F::value(acc[i], number);
  }
}

HG_CLONES void scale_row(const float* src, float factor, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] = src[i] * factor;
}

// dst may be any of the operands: each is combined into a buffer of 512 elements, which is copied to dst at the end.
template <class F>
Row rows(const Attrs&, std::size_t inputs) {
  const float factor = std::is_same_v<F, Mean> ? 1 / static_cast<float>(inputs) : 1;
  return [inputs, factor](const RowSource* src, float* dst, int64_t count) {
    constexpr int64_t kBlock = 512;
    float acc[kBlock];
    for (int64_t i = 0; i < count; i += kBlock) {
      const int64_t width = std::min(kBlock, count - i);
      for (std::size_t k = 0; k < inputs; ++k) {
        const RowSource operand{src[k].data + i * src[k].step, src[k].step};
        if (k > 0) {
          gather_row<F>(operand, acc, width);
        } else if (operand.step == 1) {
          std::copy_n(operand.data, width, acc);
        } else {
          std::fill_n(acc, width, *operand.data);
        }
      }
      scale_row(acc, factor, dst + i, width);
    }
  };
}

template <class F>
KernelPlan plan(PlanContext& ctx) {
  if (is_floating(ctx.out().dtype)) return plan_by_row(ctx);
  if (std::is_same_v<F, Mean>) fail("no kernel takes the mean of whole numbers: insert a Cast to float");
  return kernels::plan_whole(ctx, ctx.node.inputs.size() == 1
                                      ? kernels::whole_step([](int64_t a) { return a; })
                                      : kernels::whole_step([](int64_t a, int64_t b) { return F::value(a, b); }));
}

template <class F>
OpDef variadic(std::string_view name, void (*vjp)(VjpContext&)) {
  return {.name = name,
          .min_inputs = 1,
          .max_inputs = kManyInputs,
          .normalize = kernels::normalize_broadcast,
          .infer = infer,
          .vjp = vjp,
          .plan = plan<F>,
          .row = rows<F>,
          .reference = reference<F>,
          .bf16_inputs = ~0U};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      variadic<Max>("Max", vjp_extreme<Max>),
      variadic<Min>("Min", vjp_extreme<Min>),
      variadic<Sum>("Sum", vjp_sum<Sum>),
      variadic<Mean>("Mean", vjp_sum<Mean>),
  };
  return ops;
}

}  // namespace hourglass::ops::variadic
