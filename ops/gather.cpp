// Gather: dst = slices of src along `axis`, chosen by the constant `indices` (negative ones count from the back); the
// indices' shape stands for the axis.                             ONNX Gather.
// GatherComputed is its form for indices that depend on the network's input: GatherElements, with the indices repeated
// for each element of a slice.
//   diff_src = GatherGrad: each slice of diff_dst added to where it came from, zero elsewhere.
#include <cstring>

#include "graph/error.h"
#include "ops/is_computed.h"
#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/grouped_slices.h"
#include "ops/loops/moved_element.h"
#include "ops/loops/parallel.h"
#include "ops/transposed.h"

namespace hourglass::ops::gather {
namespace {

// src as outer x extent x inner, dst as outer x indices x inner.
struct Slices {
  int64_t outer = 1, extent = 1, inner = 1;
  Dims indices;  // in [0, extent)
};

Slices slices_of(const Attrs& attrs, const Shape& src) {
  const int axis = normalize_axis(attrs.integer("axis"), src.rank());
  Slices result{.extent = src[axis], .indices = attrs.tensor("indices").to_ints()};
  for (int d = 0; d < axis; ++d) result.outer *= src[d];
  for (int d = axis + 1; d < src.rank(); ++d) result.inner *= src[d];
  for (int64_t& index : result.indices) {
    if (index < -result.extent || index >= result.extent) {
      fail("index {} is outside [{}, {})", index, -result.extent, result.extent);
    }
    if (index < 0) index += result.extent;
  }
  return result;
}

Shape gathered_shape(const Attrs& attrs, const Shape& src) {
  const int axis = normalize_axis(attrs.integer("axis"), src.rank());
  slices_of(attrs, src);  // checks the indices
  Dims dims(src.dims().begin(), src.dims().begin() + axis);
  const Dims& chosen = attrs.tensor("indices").shape.dims();
  dims.insert(dims.end(), chosen.begin(), chosen.end());
  dims.insert(dims.end(), src.dims().begin() + axis + 1, src.dims().end());
  return Shape(std::move(dims));
}

void infer(InferContext& ctx) {
  ctx.outputs.push_back({ctx.inputs[0]->dtype, gathered_shape(ctx.attrs, ctx.shape(0))});
}

void infer_grad(InferContext& ctx) { infer_transposed(ctx, gathered_shape); }
void vjp(VjpContext& ctx) { vjp_transposed(ctx, "GatherGrad"); }

// visit(offset in src, offset in dst) for every element.
template <typename Visit>
void for_elements(const Slices& s, const Visit& visit) {
  std::size_t to = 0;
  for (int64_t o = 0; o < s.outer; ++o) {
    for (const int64_t index : s.indices) {
      for (int64_t i = 0; i < s.inner; ++i) visit(static_cast<std::size_t>((o * s.extent + index) * s.inner + i), to++);
    }
  }
}

void reference(ReferenceContext& ctx) {
  for_elements(slices_of(ctx.attrs, ctx.inputs[0]->shape),
               [&](std::size_t from, std::size_t to) { ctx.outputs[0].values[to] = ctx.inputs[0]->values[from]; });
}

void reference_grad(ReferenceContext& ctx) {
  for_elements(slices_of(ctx.attrs, ctx.outputs[0].shape),
               [&](std::size_t from, std::size_t to) { ctx.outputs[0].values[from] += ctx.inputs[0]->values[to]; });
}

KernelPlan plan_forward(PlanContext& ctx) {
  const Slices s = slices_of(ctx.node.attrs, ctx.in(0).shape);
  KernelPlan plan{.src = {kernels::plain(ctx.in(0))},
                  .dst = {kernels::plain(ctx.out())},
                  .implementation = "loop",
                  .kernel = nullptr};
  kernels::with_moved_element(plan.dst[0], [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([s](const Addresses& at) {
      const auto* src = static_cast<const T*>(at.src[0]);
      auto* dst = static_cast<T*>(at.dst[0]);
      const auto count = static_cast<int64_t>(s.indices.size());
      kernels::parallel_for(s.outer * count, [&](int64_t i) {
        const int64_t index = s.indices[static_cast<std::size_t>(i % count)];
        std::memcpy(dst + i * s.inner, src + (i / count * s.extent + index) * s.inner,
                    static_cast<std::size_t>(s.inner) * sizeof(T));
      });
    });
  });
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  const Slices s = slices_of(ctx.node.attrs, ctx.out().shape);
  KernelPlan plan{.src = {kernels::plain(ctx.in(0))},
                  .dst = {kernels::plain(ctx.out())},
                  .implementation = "loop",
                  .kernel = nullptr};
  const kernels::GroupedSlices grouped = kernels::group_slices(s.indices, s.inner);
  kernels::with_element(ctx.out().dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([outer = s.outer, extent = s.extent, grouped](const Addresses& at) {
      auto* diff_src = static_cast<T*>(at.dst[0]);
      kernels::zero_all(diff_src, outer * extent * grouped.inner);
      kernels::add_slices(grouped, outer, extent, static_cast<const T*>(at.src[0]), diff_src);
    });
  });
  return plan;
}

void normalize(NormalizeContext& ctx) {
  if (ctx.inputs.size() > 1 && is_computed(ctx.graph, ctx.inputs[1])) ctx.op = "GatherComputed";
}

std::vector<ValueId> lower_computed(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0], indices = ctx.node.inputs[1];
  const Shape shape = ctx.shape(src), chosen = ctx.shape(indices);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node.attrs.integer("axis"), shape.rank()));
  const Dims& dims = shape.dims();
  int64_t outer = 1, inner = 1;
  for (std::size_t d = 0; d < axis; ++d) outer *= dims[d];
  for (std::size_t d = axis + 1; d < dims.size(); ++d) inner *= dims[d];
  Dims made(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(axis));
  made.insert(made.end(), chosen.dims().begin(), chosen.dims().end());
  made.insert(made.end(), dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, dims.end());
  const ValueId repeated = ctx.add("Expand", {ctx.reshape(indices, {1, chosen.elements(), 1})},
                                   {{"shape", Dims{outer, chosen.elements(), inner}}});
  const ValueId slices = ctx.reshape(src, {outer, dims[axis], inner});
  return {ctx.reshape(ctx.add("GatherElements", {slices, repeated}, {{"axis", int64_t{1}}}), made)};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Gather",
       .attrs = {{"axis", int64_t{0}}, AttrSpec::required("indices", AttrKind::tensor)},
       .const_inputs = {{1, "indices"}},
       .normalize = normalize,
       .infer = infer,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "GatherComputed",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"axis", int64_t{0}}},
       .lower = lower_computed},
      {.name = "GatherGrad",
       .internal = true,
       .attrs = {{"axis", int64_t{0}},
                 AttrSpec::required("indices", AttrKind::tensor),
                 AttrSpec::required("shape", AttrKind::ints)},
       .infer = infer_grad,
       .plan = plan_backward,
       .reference = reference_grad,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::gather
