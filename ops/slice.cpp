// Slice: dst[i] = src[start + i * step] along each of `axes`; negative starts and ends count from the back, steps may
// be negative, everything is clamped to the extents.          ONNX Slice (constant starts, ends, axes, steps).
//   diff_src = SliceGrad: diff_dst put back in its place, zero elsewhere.
#include <algorithm>

#include "graph/error.h"
#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/moved_element.h"
#include "ops/loops/strided_loop.h"
#include "ops/memory/view.h"
#include "ops/transposed.h"

namespace hourglass::ops::slice {
namespace {

using kernels::Box;
using kernels::StridedLoop;
using kernels::View;

// For every dimension of the sliced tensor.
struct Range {
  Dims start, step, extent;
};

Range range_of(const Attrs& attrs, const Shape& shape) {
  const auto rank = static_cast<std::size_t>(shape.rank());
  Range range{.start = Dims(rank, 0), .step = Dims(rank, 1), .extent = shape.dims()};
  const Dims &starts = attrs.ints("starts"), &ends = attrs.ints("ends");
  Dims axes, steps(starts.size(), 1);
  for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (attrs.has("axes")) axes = attrs.ints("axes");
  if (attrs.has("steps")) steps = attrs.ints("steps");
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    fail("starts, ends, axes and steps have {}, {}, {} and {} entries, expected as many of each", starts.size(),
         ends.size(), axes.size(), steps.size());
  }
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto axis = static_cast<std::size_t>(normalize_axis(axes[i], shape.rank()));
    const int64_t extent = shape.dims()[axis], step = steps[i];
    if (step == 0) fail("the step along axis {} is 0", axis);
    // A forward walk stays within [0, extent], a backward one within [-1, extent - 1].
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
    const auto clamped = [&](int64_t at) { return std::clamp(at < 0 ? at + extent : at, low, high); };
    const int64_t start = clamped(starts[i]), end = clamped(ends[i]);
    const int64_t distance = step > 0 ? end - start : start - end;
    // |step| without overflow for the smallest integer.
    const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
    range.start[axis] = start;
    range.extent[axis] = distance <= 0 ? 0 : static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride) + 1;
    range.step[axis] = range.extent[axis] > 1 ? step : 1;
  }
  return range;
}

Shape sliced_shape(const Attrs& attrs, const Shape& src) { return Shape(range_of(attrs, src).extent); }

void infer(InferContext& ctx) { ctx.outputs.push_back({ctx.inputs[0]->dtype, sliced_shape(ctx.attrs, ctx.shape(0))}); }
void infer_grad(InferContext& ctx) { infer_transposed(ctx, sliced_shape); }
void vjp(VjpContext& ctx) { vjp_transposed(ctx, "SliceGrad"); }

// Operand 0 is the sliced tensor, operand 1 the slice.
StridedLoop<2> nest_of(const Range& range, const Shape& shape) {
  const Shape slice{Dims(range.extent)};
  StridedLoop<2> nest{.extents = range.extent, .strides = {shape.strides(), slice.strides()}};
  for (std::size_t d = 0; d < range.extent.size(); ++d) {
    nest.start[0] += range.start[d] * nest.strides[0][d];
    nest.strides[0][d] *= range.step[d];
  }
  return nest;
}

void reference(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  nest_of(range_of(ctx.attrs, src.shape), src.shape).for_each([&](const auto& at) {
    ctx.outputs[0].values[static_cast<std::size_t>(at[1])] = src.values[static_cast<std::size_t>(at[0])];
  });
}

void reference_grad(ReferenceContext& ctx) {
  HostTensor& diff_src = ctx.outputs[0];
  nest_of(range_of(ctx.attrs, diff_src.shape), diff_src.shape).for_each([&](const auto& at) {
    diff_src.values[static_cast<std::size_t>(at[0])] = ctx.inputs[0]->values[static_cast<std::size_t>(at[1])];
  });
}

// Whether the layout can stay: an activation whose channels are not stepped over.
bool keeps_layout(const Range& range, const MemoryDesc& desc) {
  return range.extent.size() == 4 && range.step[1] == 1 && kernels::is_viewable(desc);
}

KernelPlan plan_forward(PlanContext& ctx) {
  const Range range = range_of(ctx.node.attrs, ctx.in(0).shape);
  const bool keeps = keeps_layout(range, ctx.src[0]);
  const MemoryDesc src_desc = keeps ? ctx.src[0] : kernels::plain(ctx.in(0));
  const MemoryDesc dst_desc = keeps ? kernels::in_layout_of(src_desc, ctx.out()) : kernels::plain(ctx.out());
  StridedLoop<2> nest = nest_of(range, ctx.in(0).shape);
  nest.collapse();
  KernelPlan plan{.src = {src_desc}, .dst = {dst_desc}, .implementation = "loop", .kernel = nullptr};
  kernels::with_moved_element(plan.dst[0], [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    if (keeps) {
      const View s = kernels::view_of(src_desc), d = kernels::view_of(dst_desc);
      Box box{};
      for (std::size_t i = 0; i < 4; ++i) {
        box.extent[i] = range.extent[i];
        box.src_start[i] = range.start[i];
        box.src_step[i] = range.step[i];
      }
      plan.kernel = loop_kernel([=](const Addresses& at) {
        auto* dst = static_cast<T*>(at.dst[0]);
        kernels::copy_box(s, static_cast<const T*>(at.src[0]), d, dst, box);
        kernels::zero_padding(d, dst);
      });
    } else {
      plan.kernel = loop_kernel([nest](const Addresses& at) {
        kernels::copy_nest(nest, static_cast<const T*>(at.src[0]), static_cast<T*>(at.dst[0]));
      });
    }
  });
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  const Shape& shape = ctx.out().shape;
  const Range range = range_of(ctx.node.attrs, shape);
  const bool keeps = keeps_layout(range, ctx.src[0]);
  const MemoryDesc slice_desc = keeps ? ctx.src[0] : kernels::plain(ctx.in(0));
  const MemoryDesc whole_desc = keeps ? kernels::in_layout_of(slice_desc, ctx.out()) : kernels::plain(ctx.out());
  StridedLoop<2> nest = nest_of(range, shape);
  std::swap(nest.strides[0], nest.strides[1]);
  std::swap(nest.start[0], nest.start[1]);
  nest.collapse();
  const int64_t count = kernels::padded_elements(whole_desc);
  KernelPlan plan{.src = {slice_desc}, .dst = {whole_desc}, .implementation = "loop", .kernel = nullptr};
  kernels::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    if (keeps) {
      const View s = kernels::view_of(slice_desc), d = kernels::view_of(whole_desc);
      Box box{};
      for (std::size_t i = 0; i < 4; ++i) {
        box.extent[i] = range.extent[i];
        box.dst_start[i] = range.start[i];
        box.dst_step[i] = range.step[i];
      }
      plan.kernel = loop_kernel([=](const Addresses& at) {
        auto* dst = static_cast<T*>(at.dst[0]);
        kernels::zero_all(dst, count);
        kernels::copy_box(s, static_cast<const T*>(at.src[0]), d, dst, box);
      });
    } else {
      plan.kernel = loop_kernel([=](const Addresses& at) {
        auto* dst = static_cast<T*>(at.dst[0]);
        kernels::zero_all(dst, count);
        kernels::copy_nest(nest, static_cast<const T*>(at.src[0]), dst);
      });
    }
  });
  return plan;
}

std::vector<AttrSpec> attrs() {
  return {AttrSpec::required("starts", AttrKind::ints), AttrSpec::required("ends", AttrKind::ints),
          AttrSpec::optional("axes", AttrKind::ints), AttrSpec::optional("steps", AttrKind::ints)};
}

std::vector<AttrSpec> grad_attrs() {
  std::vector<AttrSpec> result = attrs();
  result.push_back(AttrSpec::required("shape", AttrKind::ints));
  return result;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Slice",
       .attrs = attrs(),
       .const_inputs = {{1, "starts", 10}, {2, "ends", 10}, {3, "axes", 10}, {4, "steps", 10}},
       .infer = infer,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "SliceGrad",
       .internal = true,
       .attrs = grad_attrs(),
       .infer = infer_grad,
       .plan = plan_backward,
       .reference = reference_grad,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::slice
