// CumSum{axis, exclusive, reverse}: the sum of the elements before each along the axis.   ONNX CumSum-14 (from 11)
//   dst[e] = src[0] + ... + src[e], without src[e] itself where exclusive; reverse counts from the other end.
//   diff_src = CumSum of diff_dst from the other end.
// Kernel: sums are kept in double, since networks subtract long ones from each other (local means).
#include <algorithm>

#include "graph/error.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"

namespace hourglass::ops::cum_sum {
namespace {

// src as outer x extent x inner, the axis in the middle.
struct Lines {
  int64_t outer = 1, extent = 1, inner = 1;
  bool exclusive, reverse;

  // The position along the axis of the e-th element to be added.
  [[nodiscard]] int64_t position(int64_t e) const { return reverse ? extent - 1 - e : e; }
};

Lines lines_of(const Attrs& attrs, const Shape& src) {
  const int axis = normalize_axis(attrs.integer("axis"), src.rank());
  Lines lines{
      .extent = src[axis], .exclusive = attrs.integer("exclusive") != 0, .reverse = attrs.integer("reverse") != 0};
  if (src.elements() == 0) lines.outer = 0;  // nothing to walk, whatever the other extents are
  if (lines.outer == 0) return lines;
  for (int d = 0; d < axis; ++d) lines.outer *= src[d];
  for (int d = axis + 1; d < src.rank(); ++d) lines.inner *= src[d];
  return lines;
}

void infer(InferContext& ctx) {
  lines_of(ctx.attrs, ctx.shape(0));
  ctx.outputs.push_back(*ctx.inputs[0]);
}

void vjp(VjpContext& ctx) {
  Attrs attrs = ctx.node.attrs;
  attrs.set("reverse", int64_t{attrs.integer("reverse") == 0});
  ctx.set_grad(0, ctx.b.add("CumSum", {ctx.grad_out()}, std::move(attrs), ctx.node.name + "/grad"));
}

void reference(ReferenceContext& ctx) {
  const Lines l = lines_of(ctx.attrs, ctx.inputs[0]->shape);
  for (int64_t o = 0; o < l.outer; ++o) {
    for (int64_t i = 0; i < l.inner; ++i) {
      double sum = 0;
      for (int64_t e = 0; e < l.extent; ++e) {
        const auto at = static_cast<std::size_t>((o * l.extent + l.position(e)) * l.inner + i);
        const double x = ctx.inputs[0]->values[at];
        ctx.outputs[0].values[at] = l.exclusive ? sum : sum + x;
        sum += x;
      }
    }
  }
}

template <class T>
HG_CLONES void add_row(const T* src, T* dst, double* sums, int64_t count, bool exclusive) {
  for (int64_t i = 0; i < count; ++i) {
    const double before = sums[i], with = before + static_cast<double>(kernels::load(src + i));
    sums[i] = with;
    kernels::store(dst + i, static_cast<float>(exclusive ? before : with));
  }
}

// A whole line whose elements lie side by side.
template <class T>
void add_line(const Lines& l, const T* src, T* dst) {
  double sum = 0;
  for (int64_t e = 0; e < l.extent; ++e) {
    const double before = sum;
    sum += static_cast<double>(kernels::load(src + l.position(e)));
    kernels::store(dst + l.position(e), static_cast<float>(l.exclusive ? before : sum));
  }
}

KernelPlan plan(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  const Lines l = lines_of(ctx.node.attrs, ctx.in(0).shape);
  KernelPlan result{.src = {kernels::plain(ctx.in(0))},
                    .dst = {kernels::plain(ctx.out())},
                    .in_place = {{0, 0}},
                    .implementation = "loop",
                    .kernel = nullptr};
  kernels::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    if (l.inner == 1) {
      result.kernel = loop_kernel([l](const Addresses& at) {
        kernels::parallel_for(l.outer, [&](int64_t n) {
          add_line(l, static_cast<const T*>(at.src[0]) + n * l.extent, static_cast<T*>(at.dst[0]) + n * l.extent);
        });
      });
      return;
    }
    result.kernel = loop_kernel([l](const Addresses& at) {
      constexpr int64_t kBlock = 128;
      const int64_t blocks = (l.inner + kBlock - 1) / kBlock;
      kernels::parallel_for(l.outer * blocks, [&](int64_t n) {
        const int64_t first = n / blocks * l.extent * l.inner + n % blocks * kBlock;
        const int64_t count = std::min(kBlock, l.inner - n % blocks * kBlock);
        double sums[kBlock] = {};
        for (int64_t e = 0; e < l.extent; ++e) {
          const int64_t row = first + l.position(e) * l.inner;
          add_row(static_cast<const T*>(at.src[0]) + row, static_cast<T*>(at.dst[0]) + row, sums, count, l.exclusive);
        }
      });
    });
  });
  return result;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "CumSum",
       .since = 11,
       .attrs = {AttrSpec::required("axis", AttrKind::integer), {"exclusive", int64_t{0}}, {"reverse", int64_t{0}}},
       .const_inputs = {{1, "axis"}},
       .infer = infer,
       .vjp = vjp,
       .plan = plan,
       .reference = reference,
       .bf16_inputs = 0b1,
       .linear = true}};
  return ops;
}

}  // namespace hourglass::ops::cum_sum
