// Upper and lower triangles of matrices (Trilu), and identity matrices (EyeLike).     ONNX ops of the same names
//   Trilu-14{upper, k}: dst = src where column - row >= k (upper) or <= k (lower) in the last two dimensions, else 0.
//     diff_src = the same of diff_dst.
//   EyeLike-9{dtype, k}: 1 where column - row = k, else 0, in src's shape [rows, columns]. It folds.
#include <algorithm>

#include "graph/error.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/onnx_type.h"

namespace hourglass::ops::trilu {
namespace {

struct Triangle {
  int64_t rows, columns, k;
  bool upper;

  // The columns [first, second) of a row that are kept; row counts through all matrices.
  [[nodiscard]] std::pair<int64_t, int64_t> kept(int64_t row) const {
    const int64_t diagonal = std::clamp<int64_t>(row % rows + k, -1, columns);
    return upper ? std::pair(std::max<int64_t>(diagonal, 0), columns)
                 : std::pair(int64_t{0}, std::min(diagonal + 1, columns));
  }
};

Triangle triangle_of(const Attrs& attrs, const Shape& src) {
  if (src.rank() < 2) fail("src is {}, expected matrices", src);
  // Beyond these there is nothing to tell apart.
  const int64_t most = src[-1] + src[-2];
  return {.rows = src[-2],
          .columns = src[-1],
          .k = std::clamp(attrs.integer("k"), -most, most),
          .upper = attrs.integer("upper") != 0};
}

void infer_trilu(InferContext& ctx) {
  triangle_of(ctx.attrs, ctx.shape(0));
  ctx.outputs.push_back(*ctx.inputs[0]);
}

void reference_trilu(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  const Triangle t = triangle_of(ctx.attrs, src.shape);
  for (std::size_t i = 0; i < src.values.size(); ++i) {
    const auto column = static_cast<int64_t>(i) % t.columns, row = static_cast<int64_t>(i) / t.columns % t.rows;
    const bool is_kept = t.upper ? column - row >= t.k : column - row <= t.k;
    ctx.outputs[0].values[i] = is_kept ? src.values[i] : 0;
  }
}

void vjp_trilu(VjpContext& ctx) {
  ctx.set_grad(0, ctx.b.add("Trilu", {ctx.grad_out()}, ctx.node.attrs, ctx.node.name + "/grad"));
}

KernelPlan plan_trilu(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  const Triangle t = triangle_of(ctx.node.attrs, ctx.in(0).shape);
  const int64_t rows = t.columns == 0 ? 0 : ctx.in(0).shape.elements() / t.columns;
  KernelPlan plan{.src = {kernels::plain(ctx.in(0))},
                  .dst = {kernels::plain(ctx.out())},
                  .in_place = {{0, 0}},
                  .implementation = "loop",
                  .kernel = nullptr};
  kernels::with_element(ctx.out().dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([t, rows](const Addresses& at) {
      kernels::parallel_for(rows, [&](int64_t row) {
        const auto [begin, end] = t.kept(row);
        const T* src = static_cast<const T*>(at.src[0]) + row * t.columns;
        T* dst = static_cast<T*>(at.dst[0]) + row * t.columns;
        const auto clear = [&](int64_t from, int64_t to) {
          if (from < to) std::memset(dst + from, 0, static_cast<std::size_t>(to - from) * sizeof(T));
        };
        if (src != dst && begin < end)
          std::memcpy(dst + begin, src + begin, static_cast<std::size_t>(end - begin) * sizeof(T));
        clear(0, std::min(begin, t.columns));
        clear(std::max(end, begin), t.columns);
      });
    });
  });
  return plan;
}

DType eye_type(const InferContext& ctx) {
  return ctx.attrs.has("dtype") ? dtype_of(ctx.attrs.integer("dtype")) : ctx.inputs[0]->dtype;
}

void infer_eye(InferContext& ctx) {
  if (ctx.shape(0).rank() != 2) fail("src is {}, expected a matrix", ctx.shape(0));
  ctx.outputs.push_back({eye_type(ctx), ctx.shape(0)});
}

void reference_eye(ReferenceContext& ctx) {
  HostTensor& dst = ctx.outputs[0];
  const int64_t columns = dst.shape[1];
  const int64_t k = triangle_of(Attrs{{"k", ctx.attrs.integer("k")}, {"upper", int64_t{1}}}, dst.shape).k;
  for (int64_t row = 0; row < dst.shape[0]; ++row) {
    if (row + k >= 0 && row + k < columns) dst.values[static_cast<std::size_t>(row * columns + row + k)] = 1;
  }
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Trilu",
       .since = 14,
       .attrs = {{"upper", int64_t{1}}, {"k", int64_t{0}}},
       .const_inputs = {{1, "k"}},
       .infer = infer_trilu,
       .vjp = vjp_trilu,
       .plan = plan_trilu,
       .reference = reference_trilu,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "EyeLike",
       .since = 9,
       .attrs = {AttrSpec::optional("dtype", AttrKind::integer), {"k", int64_t{0}}},
       .infer = infer_eye,
       .no_gradient = "a shape does not depend on the values",
       .reference = reference_eye,
       .by_type = true},
  };
  return ops;
}

}  // namespace hourglass::ops::trilu
