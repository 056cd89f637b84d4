// GatherElements and ScatterElements: reads or replaces single elements, at indices along one axis.
// ONNX ops of the same names.
//   GatherElements-13{axis}(src, indices): dst[..., i, ...] = src[..., indices[..., i, ...], ...].
//     diff_src: GatherElementsGrad.
//   ScatterElements-16{axis, reduction}(data, indices, updates): dst = data, where
//     dst[..., indices[..., i, ...], ...] is replaced by updates[..., i, ...] or, reduction = add, has it added.
//     Scatter is its older name.
//     diff_updates = GatherElements of diff_dst; diff_data = diff_dst, 0 where it is replaced: ScatterElementsKept.
//     Each element is to be replaced once, as ONNX says. Constant indices that name one twice are refused where updates
//     need a gradient; computed ones are believed.
//   The indices may be computed, but have no gradient; negative ones count from the back. Along other axes they may be
//   shorter than src.
// Internal: GatherElementsGrad: zeros of the shape `shape` to which diff_dst's elements are added where they came from.
//           ScatterElementsKept(src, indices): src with 0 where the indices point to.
// References fail for an index outside. Kernels take the nearest inside for one that is computed.
#include <algorithm>
#include <type_traits>

#include "graph/error.h"
#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/f32_sums.h"
#include "ops/loops/moved_element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/strided_loop.h"

namespace hourglass::ops::gather_elements {
namespace {

using kernels::StridedLoop;

// Lines along the axis: for each, where it begins in src (operand 0) and in the indices (operand 1).
struct Lines {
  StridedLoop<2> nest;
  int64_t count = 0;                   // of indices on a line
  int64_t extent = 0;                  // of src along the axis
  int64_t src_stride = 0, stride = 0;  // along the axis, of src and of the indices
};

Lines lines_of(const Attrs& attrs, const Shape& src, const Shape& indices) {
  if (src.rank() != indices.rank() || src.rank() == 0) {
    fail("src is {} and indices are {}, expected as many dimensions", src, indices);
  }
  const int axis = normalize_axis(attrs.integer("axis"), src.rank());
  const auto a = static_cast<std::size_t>(axis);
  for (int d = 0; d < src.rank(); ++d) {
    if (d != axis && indices[d] > src[d]) fail("indices {} are longer than {} in dimension {}", indices, src, d);
  }
  Lines result{.nest = {.extents = indices.dims(), .strides = {src.strides(), indices.strides()}},
               .count = indices[axis],
               .extent = src[axis],
               .src_stride = src.strides()[a],
               .stride = indices.strides()[a]};
  if (result.extent == 0 && indices.elements() > 0) fail("src {} has no elements along axis {}", src, axis);
  result.nest.extents[a] = 1;
  result.nest.collapse();
  return result;
}

bool adds(const Attrs& attrs) {
  const std::string& reduction = attrs.string("reduction");
  if (reduction != "none" && reduction != "add") fail("reduction is '{}', expected none or add", reduction);
  return reduction == "add";
}

// --- shapes ---

void require_whole(const TensorType& indices) {
  if (indices.dtype != DType::i64 && indices.dtype != DType::i32) fail("indices are {}, expected i64", indices.dtype);
}

void require_like_indices(const InferContext& ctx, std::size_t input, std::string_view name) {
  if (ctx.shape(input) != ctx.shape(1)) fail("{} is {}, indices are {}", name, ctx.shape(input), ctx.shape(1));
}

void infer_gather(InferContext& ctx) {
  require_whole(*ctx.inputs[1]);
  lines_of(ctx.attrs, ctx.shape(0), ctx.shape(1));
  ctx.outputs.push_back({ctx.inputs[0]->dtype, ctx.shape(1)});
}

void infer_gather_grad(InferContext& ctx) {
  const Shape src(ctx.attrs.ints("shape"));
  lines_of(ctx.attrs, src, ctx.shape(1));
  require_like_indices(ctx, 0, "diff_dst");
  ctx.outputs.push_back({ctx.inputs[0]->dtype, src});
}

void infer_scatter(InferContext& ctx) {
  require_whole(*ctx.inputs[1]);
  adds(ctx.attrs);
  lines_of(ctx.attrs, ctx.shape(0), ctx.shape(1));
  require_like_indices(ctx, 2, "updates");
  if (ctx.inputs[0]->dtype != ctx.inputs[2]->dtype) {
    fail("data is {} and updates are {}; both must be of one type", ctx.inputs[0]->dtype, ctx.inputs[2]->dtype);
  }
  ctx.outputs.push_back(*ctx.inputs[0]);
}

void infer_kept(InferContext& ctx) {
  lines_of(ctx.attrs, ctx.shape(0), ctx.shape(1));
  ctx.outputs.push_back(*ctx.inputs[0]);
}

// --- the elements that the indices name ---

// visit(offset in src, offset in the indices) for each index, in order along each line.
template <typename Visit>
void for_elements(const Attrs& attrs, const Shape& src, const HostTensor& indices, const Visit& visit) {
  const Lines lines = lines_of(attrs, src, indices.shape);
  lines.nest.for_each([&](const auto& at) {
    for (int64_t i = 0; i < lines.count; ++i) {
      const int64_t position = at[1] + i * lines.stride;
      auto index = static_cast<int64_t>(indices.values[static_cast<std::size_t>(position)]);
      if (index < -lines.extent || index >= lines.extent) {
        fail("index {} is outside [{}, {})", index, -lines.extent, lines.extent);
      }
      if (index < 0) index += lines.extent;
      visit(static_cast<std::size_t>(at[0] + index * lines.src_stride), static_cast<std::size_t>(position));
    }
  });
}

bool name_one_twice(const Attrs& attrs, const Shape& src, const HostTensor& indices) {
  std::vector<std::size_t> named;
  named.reserve(indices.values.size());
  for_elements(attrs, src, indices, [&](std::size_t element, std::size_t) { named.push_back(element); });
  std::sort(named.begin(), named.end());
  return std::adjacent_find(named.begin(), named.end()) != named.end();
}

// --- gradients ---

void vjp_gather(VjpContext& ctx) {
  if (!ctx.wants(0)) return;
  const Attrs attrs{{"axis", ctx.node.attrs.integer("axis")}, {"shape", ctx.in_shape(0).dims()}};
  ctx.set_grad(0, ctx.b.add("GatherElementsGrad", {ctx.grad_out(), ctx.in(1)}, attrs, ctx.node.name + "/grad"));
}

void vjp_scatter(VjpContext& ctx) {
  const Attrs axis{{"axis", ctx.node.attrs.integer("axis")}};
  const ValueId dy = ctx.grad_out(), indices = ctx.in(1);
  if (ctx.wants(0)) {
    ctx.set_grad(
        0, adds(ctx.node.attrs) ? dy : ctx.b.add("ScatterElementsKept", {dy, indices}, axis, ctx.node.name + "/grad"));
  }
  if (ctx.wants(2)) {
    const HostTensor* known = ctx.b.graph().value(indices).data.get();
    if (known != nullptr && !adds(ctx.node.attrs) && name_one_twice(ctx.node.attrs, ctx.in_shape(0), *known)) {
      fail("an element is named twice: which of the updates stays, and has a gradient, ONNX does not say");
    }
    ctx.set_grad(2, ctx.b.add("GatherElements", {dy, indices}, axis, ctx.node.name + "/grad_updates"));
  }
}

// --- references ---

void reference_gather(ReferenceContext& ctx) {
  for_elements(ctx.attrs, ctx.inputs[0]->shape, *ctx.inputs[1],
               [&](std::size_t src, std::size_t at) { ctx.outputs[0].values[at] = ctx.inputs[0]->values[src]; });
}

void reference_gather_grad(ReferenceContext& ctx) {
  for_elements(ctx.attrs, ctx.outputs[0].shape, *ctx.inputs[1],
               [&](std::size_t src, std::size_t at) { ctx.outputs[0].values[src] += ctx.inputs[0]->values[at]; });
}

void reference_scatter(ReferenceContext& ctx) {
  const bool adding = adds(ctx.attrs);
  std::vector<double>& dst = ctx.outputs[0].values;
  dst = ctx.inputs[0]->values;
  for_elements(ctx.attrs, ctx.inputs[0]->shape, *ctx.inputs[1], [&](std::size_t src, std::size_t at) {
    dst[src] = ctx.inputs[2]->values[at] + (adding ? dst[src] : 0);
  });
}

void reference_kept(ReferenceContext& ctx) {
  std::vector<double>& dst = ctx.outputs[0].values;
  dst = ctx.inputs[0]->values;
  for_elements(ctx.attrs, ctx.inputs[0]->shape, *ctx.inputs[1], [&](std::size_t src, std::size_t) { dst[src] = 0; });
}

// --- kernels ---

// The position that an index names, or the nearest inside.
int64_t inside(int64_t index, int64_t extent) {
  return std::clamp<int64_t>(index < 0 ? index + extent : index, 0, extent - 1);
}

// body(offset in src, offset in the indices) for each index, in parallel over lines, which share no element, and in
// order along each.
template <typename Body>
void for_named(const Lines& lines, const void* indices, const Body& body) {
  const auto* index_of = static_cast<const int32_t*>(indices);
  lines.nest.for_rows([&](const auto& offset, int64_t count) {
    for (int64_t i = 0; i < lines.count; ++i) {
      for (int64_t j = 0; j < count; ++j) {
        const int64_t at = offset[1] + i * lines.stride + j * lines.nest.step(1);
        const int64_t index = inside(index_of[at], lines.extent);
        body(offset[0] + index * lines.src_stride + j * lines.nest.step(0), at);
      }
    }
  });
}

// Constant indices must be in range.
void check_constant_indices(const PlanContext& ctx, int64_t extent) {
  const Value& value = ctx.graph.value(ctx.node.inputs[1]);
  if (value.kind != ValueKind::constant || value.data == nullptr) return;
  for (const double index : value.data->values) {
    if (index < static_cast<double>(-extent) || index >= static_cast<double>(extent)) {
      fail("index {} is outside [{}, {})", index, -extent, extent);
    }
  }
}

// Of row-major tensors, without a kernel.
KernelPlan plain_plan(PlanContext& ctx, const Lines& lines) {
  check_constant_indices(ctx, lines.extent);
  KernelPlan plan{.src = {}, .dst = {kernels::plain(ctx.out())}, .implementation = "loop", .kernel = nullptr};
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) plan.src.push_back(kernels::plain(ctx.in(i)));
  return plan;
}

// make(null pointer to the element) makes the kernel's function.
template <typename Make>
KernelPlan plan_plain(PlanContext& ctx, const Lines& lines, const Make& make) {
  KernelPlan plan = plain_plan(ctx, lines);
  const DType dtype = ctx.out().dtype;
  if (dtype != DType::f32 && dtype != DType::bf16) fail("kernels compute with f32 or bf16, not {}", dtype);
  kernels::with_element(dtype == DType::bf16, [&](auto* element) { plan.kernel = loop_kernel(make(element)); });
  return plan;
}

// Parallel over indices, not over lines: with axis = 0 there are as many lines as a slice has elements, and that may be
// one.
KernelPlan plan_gather(PlanContext& ctx) {
  const Lines lines = lines_of(ctx.node.attrs, ctx.in(0).shape, ctx.in(1).shape);
  StridedLoop<2> nest{.extents = ctx.in(1).shape.dims(),
                      .strides = {ctx.in(0).shape.strides(), ctx.in(1).shape.strides()}};
  nest.strides[0][static_cast<std::size_t>(normalize_axis(ctx.node.attrs.integer("axis"), ctx.in(0).shape.rank()))] = 0;
  nest.collapse();
  constexpr int64_t kShortRow = 16;
  if (const std::size_t last = nest.extents.size() - 1; last > 0 && nest.extents[last] < kShortRow) {
    std::swap(nest.extents[last - 1], nest.extents[last]);
    for (Dims& strides : nest.strides) std::swap(strides[last - 1], strides[last]);
  }
  KernelPlan plan = plain_plan(ctx, lines);
  kernels::with_moved_element(plan.dst[0], [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([nest, extent = lines.extent, stride = lines.src_stride](const Addresses& at) {
      const auto* src = static_cast<const T*>(at.src[0]);
      const auto* index_of = static_cast<const int32_t*>(at.src[1]);
      auto* dst = static_cast<T*>(at.dst[0]);
      nest.for_rows([&](const auto& offset, int64_t count) {
        for (int64_t j = 0; j < count; ++j) {
          const int64_t i = offset[1] + j * nest.step(1);
          dst[i] = src[offset[0] + j * nest.step(0) + inside(index_of[i], extent) * stride];
        }
      });
    });
  });
  return plan;
}

// A plan for sums, because an element may be named many times; make() as of plan_plain().
template <typename Make>
KernelPlan plan_sums(PlanContext& ctx, const Lines& lines, const Make& make) {
  KernelPlan plan = plan_plain(ctx, lines, make);
  plan.scratch_bytes = kernels::f32_sums_bytes(ctx.out());
  return plan;
}

constexpr int64_t kGrain = 1 << 14;

// Adds the listed elements to the sums, and rounds these into dst.
template <class T>
void add_listed(const Lines& lines, const void* indices, const T* listed, const kernels::F32Sums<T>& sums,
                int64_t elements) {
  float* to = sums.data();
  for_named(lines, indices, [=](int64_t element, int64_t i) { to[element] += kernels::load(listed + i); });
  if (kernels::F32Sums<T>::kInPlace) return;
  kernels::parallel_ranges(elements, kGrain, [&](int64_t begin, int64_t end) { sums.finish(begin, end); });
}

KernelPlan plan_gather_grad(PlanContext& ctx) {
  const Lines lines = lines_of(ctx.node.attrs, ctx.out().shape, ctx.in(1).shape);
  return plan_sums(ctx, lines, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return [lines, elements = ctx.out().shape.elements()](const Addresses& at) {
      const kernels::F32Sums<T> sums(at);
      kernels::zero_all(sums.data(), elements);
      add_listed(lines, at.src[1], static_cast<const T*>(at.src[0]), sums, elements);
    };
  });
}

KernelPlan plan_scatter_add(PlanContext& ctx, const Lines& lines) {
  return plan_sums(ctx, lines, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return [lines, elements = ctx.out().shape.elements()](const Addresses& at) {
      const kernels::F32Sums<T> sums(at);
      if constexpr (kernels::F32Sums<T>::kInPlace) {
        kernels::copy_bytes(at.src[0], sums.data(), elements * static_cast<int64_t>(sizeof(T)));
      } else {
        kernels::parallel_ranges(elements, kGrain, [&](int64_t begin, int64_t end) {
          kernels::widen(static_cast<const T*>(at.src[0]) + begin, end - begin, sums.data() + begin);
        });
      }
      add_listed(lines, at.src[1], static_cast<const T*>(at.src[2]), sums, elements);
    };
  });
}

KernelPlan plan_replace(PlanContext& ctx, const Lines& lines) {
  return plan_plain(ctx, lines, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return [lines, elements = ctx.out().shape.elements()](const Addresses& at) {
      const auto* updates = static_cast<const T*>(at.src[2]);
      auto* dst = static_cast<T*>(at.dst[0]);
      kernels::copy_bytes(at.src[0], dst, elements * static_cast<int64_t>(sizeof(T)));
      for_named(lines, at.src[1], [=](int64_t element, int64_t i) { dst[element] = updates[i]; });
    };
  });
}

KernelPlan plan_scatter(PlanContext& ctx) {
  const Lines lines = lines_of(ctx.node.attrs, ctx.in(0).shape, ctx.in(1).shape);
  KernelPlan plan = adds(ctx.node.attrs) ? plan_scatter_add(ctx, lines) : plan_replace(ctx, lines);
  plan.in_place = {{0, 0}};
  return plan;
}

KernelPlan plan_kept(PlanContext& ctx) {
  const Lines lines = lines_of(ctx.node.attrs, ctx.in(0).shape, ctx.in(1).shape);
  KernelPlan plan = plan_plain(ctx, lines, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return [lines, elements = ctx.out().shape.elements()](const Addresses& at) {
      auto* dst = static_cast<T*>(at.dst[0]);
      kernels::copy_bytes(at.src[0], dst, elements * static_cast<int64_t>(sizeof(T)));
      for_named(lines, at.src[1], [=](int64_t element, int64_t) { kernels::store(dst + element, 0); });
    };
  });
  plan.in_place = {{0, 0}};
  return plan;
}

std::vector<ValueId> lower_scatter(LowerContext& ctx) {
  return {ctx.add("ScatterElements", ctx.node.inputs, ctx.node.attrs)};
}

void normalize_scatter(NormalizeContext& ctx) { ctx.op = "ScatterElements"; }

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "GatherElements",
       .since = 11,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"axis", int64_t{0}}},
       .infer = infer_gather,
       .vjp = vjp_gather,
       .plan = plan_gather,
       .reference = reference_gather,
       .bf16_inputs = 0b1},
      {.name = "GatherElementsGrad",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"axis", int64_t{0}}, AttrSpec::required("shape", AttrKind::ints)},
       .infer = infer_gather_grad,
       .plan = plan_gather_grad,
       .reference = reference_gather_grad,
       .bf16_inputs = 0b1},
      {.name = "ScatterElements",
       .since = 11,
       .min_inputs = 3,
       .max_inputs = 3,
       .attrs = {{"axis", int64_t{0}}, {"reduction", std::string("none")}},
       .infer = infer_scatter,
       .vjp = vjp_scatter,
       .plan = plan_scatter,
       .reference = reference_scatter,
       .bf16_inputs = 0b101},
      {.name = "ScatterElementsKept",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"axis", int64_t{0}}},
       .infer = infer_kept,
       .plan = plan_kept,
       .reference = reference_kept,
       .bf16_inputs = 0b1},
      {.name = "Scatter",
       .since = 9,
       .min_inputs = 3,
       .max_inputs = 3,
       .attrs = {{"axis", int64_t{0}}},
       .normalize = normalize_scatter,
       .lower = lower_scatter},
  };
  return ops;
}

}  // namespace hourglass::ops::gather_elements
