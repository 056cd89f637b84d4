// The largest or smallest elements along one axis, and where they are.               ONNX ops of the same names
//   TopK-11{k, axis, largest, sorted}(src): the k largest (smallest) elements of each line along the axis, sorted
//     whether that is asked for or not, and their indices (i64). Of equal ones the first comes first.
//     diff_src: diff_dst where the elements came from (GatherElementsGrad).
//   ArgMax-13, ArgMin-13{axis, keepdims, select_last_index}: the index (i64) of the largest (smallest) element, of
//     equal ones the first or the last. No gradient: an index is constant between its jumps.
// NaN is larger than all numbers, as in PyTorch.
#include <omp.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "graph/error.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/strided_loop.h"
#include "ops/memory/onednn.h"

namespace hourglass::ops::top_k {
namespace {

using kernels::StridedLoop;

// A tensor as outer x extent x inner, the axis in the middle.
struct Lines {
  int64_t outer = 1, extent = 1, inner = 1;
};

Lines lines_of(const Attrs& attrs, const Shape& src) {
  const int axis = normalize_axis(attrs.integer("axis"), src.rank());
  Lines lines{.extent = src[axis]};
  if (src.elements() == 0) lines.outer = 0;  // nothing to walk, whatever the other extents are
  if (lines.outer == 0) return lines;
  for (int d = 0; d < axis; ++d) lines.outer *= src[d];
  for (int d = axis + 1; d < src.rank(); ++d) lines.inner *= src[d];
  return lines;
}

template <class T>
bool is_larger(T a, T b) {
  return a > b || (a != a && b == b);
}

// Whether element i of a line comes before element j.
template <class T>
struct Before {
  const T* line;
  bool largest;
  bool operator()(int32_t i, int32_t j) const {
    const T a = line[i], b = line[j];
    if (largest ? is_larger(a, b) : is_larger(b, a)) return true;
    if (largest ? is_larger(b, a) : is_larger(a, b)) return false;
    return i < j;
  }
};

// --- TopK ---

int64_t k_of(const Attrs& attrs) {
  const Dims& k = attrs.ints("k");
  if (k.size() != 1) fail("k has {} values, expected one", k.size());
  return k[0];
}

// An attribute before opset 10, where it became a list of one.
void normalize_top_k(NormalizeContext& ctx) {
  if (ctx.opset < 10) ctx.attrs.set("k", Dims{ctx.attrs.integer("k")});
}

void infer_top_k(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  const Lines lines = lines_of(ctx.attrs, src);
  const int64_t k = k_of(ctx.attrs);
  if (k < 0 || k > lines.extent) fail("k is {}, the axis has {} elements", k, lines.extent);
  if (lines.extent > std::numeric_limits<int32_t>::max()) fail("an axis of {} elements is too long", lines.extent);
  Dims dims = src.dims();
  dims[static_cast<std::size_t>(normalize_axis(ctx.attrs.integer("axis"), src.rank()))] = k;
  ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(dims)});
  ctx.outputs.push_back({DType::i64, Shape(std::move(dims))});
}

void reference_top_k(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  const Lines l = lines_of(ctx.attrs, src.shape);
  const int64_t k = k_of(ctx.attrs);
  if (l.outer == 0) return;
  std::vector<double> line(static_cast<std::size_t>(l.extent));
  std::vector<int32_t> order(line.size());
  for (int64_t o = 0; o < l.outer; ++o) {
    for (int64_t i = 0; i < l.inner; ++i) {
      for (int64_t e = 0; e < l.extent; ++e) {
        line[static_cast<std::size_t>(e)] = src.values[static_cast<std::size_t>((o * l.extent + e) * l.inner + i)];
      }
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), Before<double>{line.data(), ctx.attrs.integer("largest") != 0});
      for (int64_t e = 0; e < k; ++e) {
        const auto at = static_cast<std::size_t>((o * k + e) * l.inner + i);
        ctx.outputs[0].values[at] = line[static_cast<std::size_t>(order[static_cast<std::size_t>(e)])];
        ctx.outputs[1].values[at] = order[static_cast<std::size_t>(e)];
      }
    }
  }
}

void vjp_top_k(VjpContext& ctx) {
  const Attrs attrs{{"axis", ctx.node.attrs.integer("axis")}, {"shape", ctx.in_shape(0).dims()}};
  ctx.set_grad(0, ctx.b.add("GatherElementsGrad", {ctx.grad_out(), ctx.out(1)}, attrs, ctx.node.name + "/grad"));
}

// Scratch: a line's elements and their order, for each thread.
KernelPlan plan_top_k(PlanContext& ctx) {
  const DType dtype = ctx.in(0).dtype;
  if (dtype != DType::f32 && dtype != DType::bf16) fail("kernels compute with f32 or bf16, not {}", dtype);
  const Lines l = lines_of(ctx.node.attrs, ctx.in(0).shape);
  const int64_t k = k_of(ctx.node.attrs);
  const bool largest = ctx.node.attrs.integer("largest") != 0;
  const std::size_t of_thread = (static_cast<std::size_t>(l.extent) * (sizeof(float) + sizeof(int32_t)) + 63) / 64 * 64;
  KernelPlan plan{.src = {kernels::plain(ctx.in(0))},
                  .dst = {kernels::plain(ctx.out(0)), kernels::plain(ctx.out(1))},
                  .scratch_bytes = of_thread * static_cast<std::size_t>(omp_get_max_threads()),
                  .implementation = "loop",
                  .kernel = nullptr};
  kernels::with_element(dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      kernels::parallel_for(l.outer * l.inner, [&](int64_t n) {
        const int64_t o = n / l.inner, i = n % l.inner;
        char* mine = static_cast<char*>(at.scratch) + static_cast<std::size_t>(omp_get_thread_num()) * of_thread;
        auto* line = reinterpret_cast<float*>(mine);
        auto* order = reinterpret_cast<int32_t*>(line + l.extent);
        const T* src = static_cast<const T*>(at.src[0]) + o * l.extent * l.inner + i;
        for (int64_t e = 0; e < l.extent; ++e) line[e] = kernels::load(src + e * l.inner);
        std::iota(order, order + l.extent, 0);
        std::partial_sort(order, order + k, order + l.extent, Before<float>{line, largest});
        T* values = static_cast<T*>(at.dst[0]) + o * k * l.inner + i;
        int32_t* indices = static_cast<int32_t*>(at.dst[1]) + o * k * l.inner + i;
        for (int64_t e = 0; e < k; ++e) {
          kernels::store(values + e * l.inner, line[order[e]]);
          indices[e * l.inner] = order[e];
        }
      });
    });
  });
  return plan;
}

// --- ArgMax, ArgMin ---

void infer_arg(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  if (lines_of(ctx.attrs, src).extent == 0) fail("src {} has no elements along the axis", src);
  const int axis = normalize_axis(ctx.attrs.integer("axis"), src.rank());
  Dims dims = src.dims();
  dims[static_cast<std::size_t>(axis)] = 1;
  if (ctx.attrs.integer("keepdims") == 0) dims.erase(dims.begin() + axis);
  ctx.outputs.push_back({DType::i64, Shape(std::move(dims))});
}

// Whether x comes before what is best so far.
template <bool kMax, class T>
bool is_better(T x, T best, bool last) {
  if (last) return kMax ? !is_larger(best, x) : !is_larger(x, best);
  return kMax ? is_larger(x, best) : is_larger(best, x);
}

template <bool kMax>
void reference_arg(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  const Lines l = lines_of(ctx.attrs, src.shape);
  const bool last = ctx.attrs.integer("select_last_index") != 0;
  for (int64_t o = 0; o < l.outer; ++o) {
    for (int64_t i = 0; i < l.inner; ++i) {
      const auto value = [&](int64_t e) {
        return src.values[static_cast<std::size_t>((o * l.extent + e) * l.inner + i)];
      };
      int64_t best = 0;
      for (int64_t e = 1; e < l.extent; ++e) {
        if (is_better<kMax>(value(e), value(best), last)) best = e;
      }
      ctx.outputs[0].values[static_cast<std::size_t>(o * l.inner + i)] = static_cast<double>(best);
    }
  }
}

template <bool kMax>
KernelPlan plan_arg(PlanContext& ctx) {
  const DType dtype = ctx.in(0).dtype;
  if (dtype != DType::f32 && dtype != DType::bf16) fail("kernels compute with f32 or bf16, not {}", dtype);
  const Lines l = lines_of(ctx.node.attrs, ctx.in(0).shape);
  const bool last = ctx.node.attrs.integer("select_last_index") != 0;
  KernelPlan plan{.src = {kernels::plain(ctx.in(0))},
                  .dst = {kernels::plain(ctx.out())},
                  .implementation = "loop",
                  .kernel = nullptr};
  kernels::with_element(dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      constexpr int64_t kBlock = 256;
      const int64_t blocks = (l.inner + kBlock - 1) / kBlock;
      kernels::parallel_for(l.outer * blocks, [&](int64_t n) {
        const int64_t o = n / blocks, first = n % blocks * kBlock, count = std::min(kBlock, l.inner - first);
        const T* src = static_cast<const T*>(at.src[0]) + o * l.extent * l.inner + first;
        int32_t* indices = static_cast<int32_t*>(at.dst[0]) + o * l.inner + first;
        float best[kBlock];
        kernels::widen(src, count, best);
        std::fill_n(indices, count, 0);
        for (int64_t e = 1; e < l.extent; ++e) {
          for (int64_t i = 0; i < count; ++i) {
            const float x = kernels::load(src + e * l.inner + i);
            if (!is_better<kMax>(x, best[i], last)) continue;
            best[i] = x;
            indices[i] = static_cast<int32_t>(e);
          }
        }
      });
    });
  });
  return plan;
}

template <bool kMax>
OpDef arg_op(std::string_view name) {
  return {.name = name,
          .attrs = {{"axis", int64_t{0}}, {"keepdims", int64_t{1}}, {"select_last_index", int64_t{0}}},
          .infer = infer_arg,
          .no_gradient = "its result is an index",
          .plan = plan_arg<kMax>,
          .reference = reference_arg<kMax>,
          .bf16_inputs = 0b1};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "TopK",
       .attrs = {{"axis", int64_t{-1}},
                 AttrSpec::required("k", AttrKind::ints),
                 {"largest", int64_t{1}},
                 {"sorted", int64_t{1}}},
       .const_inputs = {{1, "k", 10}},
       .normalize = normalize_top_k,
       .infer = infer_top_k,
       .vjp = vjp_top_k,
       .plan = plan_top_k,
       .reference = reference_top_k,
       .bf16_inputs = 0b1},
      arg_op<true>("ArgMax"),
      arg_op<false>("ArgMin"),
  };
  return ops;
}

}  // namespace hourglass::ops::top_k
