// Max, Min, Sum, Mean of one or more operands, broadcast against each other.        ONNX ops of the same names, -8.
//   d Sum = dy for each operand, d Mean = dy / n. Max and Min are chains of two operands, whose gradient the larger
//   (smaller) one gets, and equal ones share.
#include "graph/error.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/loops/strided_loop.h"

namespace hourglass::ops {
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
    return emit(ctx, "Mul", {dy, emit(ctx, "GreaterMask", {a, b})});
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

// Results are gathered in float, whatever the element type, and rounded once.
template <class F, class T>
HG_CLONES void gather_row(const T* x, int64_t step, float* acc, int64_t count, bool is_first) {
  if (is_first) {
    for (int64_t i = 0; i < count; ++i) acc[i] = kernels::load(x + i * step);
  } else if (step == 1) {
    for (int64_t i = 0; i < count; ++i) acc[i] = F::value(acc[i], kernels::load(x + i));
  } else {
    const float value = kernels::load(x);
    for (int64_t i = 0; i < count; ++i) acc[i] = F::value(acc[i], value);
  }
}

template <class T>
HG_CLONES void store_row(const float* acc, T* dst, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) kernels::store(dst + i, acc[i] * factor);
}

template <class F>
float factor_for(std::size_t operands) {
  return std::is_same_v<F, Mean> ? 1 / static_cast<float>(operands) : 1;
}

// A run of dst from operands that walk with it or stand still: operand(k) is where the k-th begins, and its step. dst
// may be any of them.
template <class F, class T, typename Operand>
void gather_tiles(std::size_t operands, const Operand& operand, T* dst, int64_t count) {
  constexpr int64_t kTile = 512;
  float acc[kTile];
  for (int64_t i = 0; i < count; i += kTile) {
    const int64_t width = std::min(kTile, count - i);
    for (std::size_t k = 0; k < operands; ++k) {
      const auto [x, step] = operand(k);
      gather_row<F>(x + i * step, step, acc, width, k == 0);
    }
    store_row(acc, dst + i, width, factor_for<F>(operands));
  }
}

// Operands of dst's shape and single elements, in any layout.
template <class F, class T>
std::unique_ptr<Kernel> walk_kernel(const kernels::ElementWalk& walk, const std::vector<int64_t>& steps) {
  return loop_kernel([=](const Addresses& at) {
    auto* dst = static_cast<T*>(at.dst[0]);
    walk.run(dst, [&](int64_t begin, int64_t count) {
      const auto operand = [&](std::size_t k) {
        return std::pair(static_cast<const T*>(at.src[k]) + begin * steps[k], steps[k]);
      };
      gather_tiles<F>(steps.size(), operand, dst + begin, count);
    });
  });
}

// Any broadcasting, row-major: the operands are worked into scratch one by one.
template <class F, class T>
void plan_general(KernelPlan& plan, const PlanContext& ctx) {
  const Shape& out = ctx.out().shape;
  std::vector<StridedLoop<2>> nests;
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) {
    nests.push_back(
        {.extents = out.dims(), .strides = {kernels::broadcast_strides(ctx.in(i).shape, out), out.strides()}});
    nests.back().collapse();
  }
  const int64_t elements = out.elements();
  plan.scratch_bytes = static_cast<std::size_t>(elements) * sizeof(float);
  plan.kernel = loop_kernel([nests, elements](const Addresses& at) {
    auto* acc = static_cast<float*>(at.scratch);
    for (std::size_t k = 0; k < nests.size(); ++k) {
      nests[k].for_rows([&](const auto& offset, int64_t count) {
        gather_row<F>(static_cast<const T*>(at.src[k]) + offset[0], nests[k].step(0), acc + offset[1], count, k == 0);
      });
    }
    kernels::parallel_ranges(elements, 4096, [&](int64_t begin, int64_t end) {
      store_row(acc + begin, static_cast<T*>(at.dst[0]) + begin, end - begin, factor_for<F>(nests.size()));
    });
  });
}

template <class F>
KernelPlan plan(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  const TensorType& out = ctx.out();
  std::vector<int64_t> steps;
  std::size_t major = ctx.node.inputs.size();
  bool simple = true;
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) {
    const Shape& shape = ctx.in(i).shape;
    steps.push_back(shape == out.shape ? 1 : 0);
    simple = simple && (shape == out.shape || shape.elements() == 1);
    if (shape == out.shape && major == ctx.node.inputs.size()) major = i;
  }
  simple = simple && major < steps.size();
  const MemoryDesc desc = simple ? kernels::elementwise_layout(ctx.src[major], out) : kernels::plain(out);
  KernelPlan result{.src = {}, .dst = {desc}, .implementation = "loop", .kernel = nullptr};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    result.src.push_back(simple && steps[i] == 1 ? desc : kernels::plain(ctx.in(i)));
  }
  if (simple && steps[0] == 1) result.in_place = {{0, 0}};
  const bool all_same = std::find(steps.begin(), steps.end(), 0) == steps.end();
  kernels::with_element(out.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    if (simple) {
      result.kernel = walk_kernel<F, T>(kernels::ElementWalk(desc, all_same), steps);
    } else {
      plan_general<F, T>(result, ctx);
    }
  });
  return result;
}

template <class F>
Row rows(const Attrs&, std::size_t inputs) {
  return [inputs](const RowSource* src, float* dst, int64_t count) {
    gather_tiles<F>(
        inputs, [&](std::size_t k) { return src[k]; }, dst, count);
  };
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

std::span<const OpDef> variadic_ops() {
  static const OpDef ops[] = {
      variadic<Max>("Max", vjp_extreme<Max>),
      variadic<Min>("Min", vjp_extreme<Min>),
      variadic<Sum>("Sum", vjp_sum<Sum>),
      variadic<Mean>("Mean", vjp_sum<Mean>),
  };
  return ops;
}

}  // namespace hourglass::ops
