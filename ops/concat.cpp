// Concat: the inputs one behind the other along `axis`.          ONNX Concat (axis is required from opset 4).
//   diff_src[i] = Slice of diff_dst.
// Split: its inverse, outputs of the sizes in `split`, or `num_outputs` equal ones (the last may be smaller).
//   ONNX Split.
//   diff_src = Concat of the diff_dst; where some outputs are unused, the sum of the others' SliceGrads.
#include "graph/error.h"
#include "graph/text.h"
#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/moved_element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/view.h"

#include <algorithm>
#include <numeric>

namespace hourglass::ops::concat {
namespace {

using kernels::Box;
using kernels::View;

constexpr int kManyInputs = 1 << 20;

int axis_of(const Attrs& attrs, int rank) { return normalize_axis(attrs.integer("axis"), rank); }

// A row-major tensor as an activation whose height is the axis: outer x 1 x axis x inner.
View plain_view(const Shape& shape, int axis) {
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  const int64_t along = shape[axis];
  return {.n = outer,
          .c = 1,
          .h = along,
          .w = inner,
          .block = 1,
          .groups = 1,
          .stride_n = along * inner,
          .stride_g = along * inner,
          .stride_h = inner,
          .stride_w = 1};
}

// One long tensor and its parts, each with a view; `axis` is that of the views.
struct Parts {
  std::vector<MemoryDesc> part_descs;
  MemoryDesc whole_desc;
  View whole;
  std::vector<View> parts;
  std::size_t axis = 0;

  // The box of part i, from `start` on in the whole, for a copy from the whole to the part or (to_whole) from the part
  // to the whole.
  [[nodiscard]] Box box(std::size_t i, int64_t start, bool to_whole) const {
    Box box{.extent = {parts[i].n, parts[i].c, parts[i].h, parts[i].w}};
    (to_whole ? box.dst_start : box.src_start)[axis] = start;
    return box;
  }
  [[nodiscard]] int64_t extent(std::size_t i) const {
    const View& v = parts[i];
    return std::array<int64_t, 4>{v.n, v.c, v.h, v.w}[axis];
  }
};

Parts parts_of(const MemoryDesc& whole_desc, const TensorType& whole, const std::vector<MemoryDesc>& part_descs,
               const std::vector<TensorType>& parts, int axis) {
  const bool viewable = whole.shape.rank() == 4 && kernels::is_viewable(whole_desc) &&
                        std::all_of(part_descs.begin(), part_descs.end(), kernels::is_viewable);
  Parts result;
  result.axis = viewable ? static_cast<std::size_t>(axis) : 2;
  result.whole_desc = viewable ? whole_desc : kernels::plain(whole);
  result.whole = viewable ? kernels::view_of(whole_desc) : plain_view(whole.shape, axis);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    result.part_descs.push_back(viewable ? part_descs[i] : kernels::plain(parts[i]));
    result.parts.push_back(viewable ? kernels::view_of(part_descs[i]) : plain_view(parts[i].shape, axis));
  }
  return result;
}

// Channels of channels-last images side by side, both ways: every pixel of the whole is touched once.
bool joins_channels(const Parts& parts) {
  const auto is_channels_last = [](const View& v) { return v.is_channels_last(); };
  return parts.axis == 1 && parts.whole.is_channels_last() &&
         std::all_of(parts.parts.begin(), parts.parts.end(), is_channels_last);
}

// copy(part, offset in it, offset in the whole, pixels) for some pixels of every part in turn.
template <typename Copy>
void for_pixel_blocks(const Parts& parts, const Copy& copy) {
  constexpr int64_t kBlock = 64;
  const View& whole = parts.whole;
  kernels::parallel_for(whole.n * whole.h, [&](int64_t row) {
    const int64_t n = row / whole.h, h = row % whole.h;
    for (int64_t w = 0; w < whole.w; w += kBlock) {
      int64_t channel = 0;
      for (std::size_t i = 0; i < parts.parts.size(); ++i) {
        const View& part = parts.parts[i];
        copy(i, part.offset(n, 0, h, w), whole.offset(n, 0, h, w) + channel, std::min(kBlock, whole.w - w));
        channel += part.c;
      }
    }
  });
}

// --- Concat ---

void infer_concat(InferContext& ctx) {
  TensorType out = *ctx.inputs[0];
  if (out.shape.rank() == 0) fail("scalars can't be concatenated");
  const int axis = axis_of(ctx.attrs, out.shape.rank());
  Dims dims = out.shape.dims();
  for (std::size_t i = 1; i < ctx.inputs.size(); ++i) {
    if (!ctx.has(i)) fail("input {} is missing", i);
    const Shape& shape = ctx.shape(i);
    bool fits = shape.rank() == out.shape.rank() && ctx.inputs[i]->dtype == out.dtype;
    for (int d = 0; fits && d < shape.rank(); ++d) fits = d == axis || shape[d] == out.shape[d];
    if (!fits) {
      fail("input {} is {}:{}, input 0 is {}:{}; they may differ along axis {} only", i, ctx.inputs[i]->dtype, shape,
           out.dtype, out.shape, axis);
    }
    dims[static_cast<std::size_t>(axis)] += shape[axis];
  }
  out.shape = Shape(std::move(dims));
  ctx.outputs.push_back(std::move(out));
}

void vjp_concat(VjpContext& ctx) {
  const int axis = axis_of(ctx.node.attrs, ctx.in_shape(0).rank());
  Dims sizes;
  bool all = true;
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) {
    sizes.push_back(ctx.in_shape(i)[axis]);
    all = all && ctx.wants(i);
  }
  if (all) {
    const std::vector<ValueId> grads =
        ctx.b.add_all("Split", {ctx.grad_out()}, {{"axis", int64_t{axis}}, {"split", sizes}}, ctx.node.name + "/grad");
    for (std::size_t i = 0; i < grads.size(); ++i) ctx.set_grad(i, grads[i]);
    return;
  }
  int64_t start = 0;
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) {
    const int64_t end = start + ctx.in_shape(i)[axis];
    if (ctx.wants(i)) {
      ctx.set_grad(
          i, ctx.b.add("Slice", {ctx.grad_out()}, {{"starts", Dims{start}}, {"ends", Dims{end}}, {"axes", Dims{axis}}},
                       ctx.node.name + "/grad"));
    }
    start = end;
  }
}

void reference_concat(ReferenceContext& ctx) {
  HostTensor& dst = ctx.outputs[0];
  const int axis = axis_of(ctx.attrs, dst.shape.rank());
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < axis; ++d) outer *= dst.shape[d];
  for (int d = axis + 1; d < dst.shape.rank(); ++d) inner *= dst.shape[d];
  auto out = dst.values.begin();
  for (int64_t o = 0; o < outer; ++o) {
    for (const HostTensor* src : ctx.inputs) {
      const int64_t run = src->shape[axis] * inner;
      out = std::copy_n(src->values.begin() + o * run, run, out);
    }
  }
}

KernelPlan plan_concat(PlanContext& ctx) {
  // The largest part sets the layout; the others are copied from whatever they have.
  std::size_t largest = 0;
  std::vector<TensorType> types;
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) {
    types.push_back(ctx.in(i));
    if (types[i].shape.elements() > types[largest].shape.elements()) largest = i;
  }
  const Parts parts = parts_of(kernels::in_layout_of(ctx.src[largest], ctx.out()), ctx.out(), ctx.src, types,
                               axis_of(ctx.node.attrs, ctx.out().shape.rank()));
  KernelPlan plan{.src = parts.part_descs, .dst = {parts.whole_desc}, .implementation = "loop", .kernel = nullptr};
  kernels::with_moved_element(plan.dst[0], [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([parts](const Addresses& at) {
      auto* dst = static_cast<T*>(at.dst[0]);
      if (joins_channels(parts)) {
        for_pixel_blocks(parts, [&](std::size_t i, int64_t part, int64_t whole, int64_t pixels) {
          const int64_t lanes = parts.parts[i].c;
          kernels::copy_lanes(static_cast<const T*>(at.src[i]) + part, lanes, dst + whole, parts.whole.c, lanes,
                              pixels);
        });
        return;
      }
      int64_t start = 0;
      for (std::size_t i = 0; i < parts.parts.size(); ++i) {
        kernels::copy_box(parts.parts[i], static_cast<const T*>(at.src[i]), parts.whole, dst,
                          parts.box(i, start, true));
        start += parts.extent(i);
      }
      kernels::zero_padding(parts.whole, dst);
    });
  });
  return plan;
}

// --- Split ---

Dims split_sizes(const Attrs& attrs, const Shape& shape) {
  const int64_t extent = shape[axis_of(attrs, shape.rank())];
  if (attrs.has("split")) {
    const Dims& sizes = attrs.ints("split");
    for (const int64_t size : sizes) {
      if (size < 0 || size > extent) fail("a part of {} does not fit into the {} of {}", size, extent, shape);
    }
    if (std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) != extent) {
      fail("the parts {} do not add up to the {} of {}", join(sizes, " + "), extent, shape);
    }
    return sizes;
  }
  const int64_t count = attrs.integer("num_outputs");
  constexpr int64_t kMost = 1 << 16;
  if (count < 1) fail("neither the parts' sizes nor their number is given");
  if (count > kMost) fail("{} parts are asked for, {} at most are possible", count, kMost);
  const int64_t size = (extent + count - 1) / count;
  Dims sizes(static_cast<std::size_t>(count), size);
  sizes.back() = extent - size * (count - 1);
  if (sizes.back() < 0) fail("{} can't be split into {} parts of {}", extent, count, size);
  return sizes;
}

void infer_split(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  const auto axis = static_cast<std::size_t>(axis_of(ctx.attrs, src.rank()));
  for (const int64_t size : split_sizes(ctx.attrs, src)) {
    Dims dims = src.dims();
    dims[axis] = size;
    ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
  }
}

void normalize_split(NormalizeContext& ctx) {
  if (!ctx.attrs.has("num_outputs")) ctx.attrs.set("num_outputs", static_cast<int64_t>(ctx.outputs.size()));
}

// Always by sizes: the number of parts came with opset 18.
bool split_to_onnx(ToOnnxContext& ctx) {
  const Dims sizes = split_sizes(ctx.node.attrs, ctx.graph.shape(ctx.node.inputs[0]));
  ctx.attrs.erase("num_outputs");
  if (ctx.inputs.size() < 2) ctx.inputs.push_back(ctx.constant("split", HostTensor::ints(sizes)));
  return true;
}

void vjp_split(VjpContext& ctx) {
  const Shape src = ctx.in_shape(0);  // a copy: adding nodes moves values
  const int64_t axis = axis_of(ctx.node.attrs, src.rank());
  std::vector<ValueId> grads;
  for (std::size_t i = 0; i < ctx.node.outputs.size(); ++i) {
    if (ctx.grad_out(i).valid()) grads.push_back(ctx.grad_out(i));
  }
  if (grads.size() == ctx.node.outputs.size()) {
    ctx.set_grad(0, ctx.b.add("Concat", grads, {{"axis", axis}}, ctx.node.name + "/grad"));
    return;
  }
  ValueId sum = kNoValue;
  int64_t start = 0;
  const Dims sizes = split_sizes(ctx.node.attrs, src);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const int64_t end = start + sizes[i];
    if (ctx.grad_out(i).valid()) {
      const ValueId part =
          ctx.b.add("SliceGrad", {ctx.grad_out(i)},
                    {{"starts", Dims{start}}, {"ends", Dims{end}}, {"axes", Dims{axis}}, {"shape", src.dims()}},
                    ctx.node.name + "/grad");
      sum = sum.valid() ? ctx.b.add("Add", {sum, part}, {}, ctx.node.name + "/grad") : part;
    }
    start = end;
  }
  if (sum.valid()) ctx.set_grad(0, sum);
}

void reference_split(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  const int axis = axis_of(ctx.attrs, src.shape.rank());
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < axis; ++d) outer *= src.shape[d];
  for (int d = axis + 1; d < src.shape.rank(); ++d) inner *= src.shape[d];
  auto in = src.values.begin();
  for (int64_t o = 0; o < outer; ++o) {
    for (HostTensor& dst : ctx.outputs) {
      const int64_t run = dst.shape[axis] * inner;
      std::copy_n(in, run, dst.values.begin() + o * run);
      in += run;
    }
  }
}

KernelPlan plan_split(PlanContext& ctx) {
  std::vector<TensorType> types;
  std::vector<MemoryDesc> descs;
  for (std::size_t i = 0; i < ctx.node.outputs.size(); ++i) {
    types.push_back(ctx.out(i));
    descs.push_back(kernels::in_layout_of(ctx.src[0], types.back()));
  }
  const Parts parts = parts_of(ctx.src[0], ctx.in(0), descs, types, axis_of(ctx.node.attrs, ctx.in(0).shape.rank()));
  KernelPlan plan{.src = {parts.whole_desc}, .dst = parts.part_descs, .implementation = "loop", .kernel = nullptr};
  kernels::with_moved_element(plan.dst[0], [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([parts](const Addresses& at) {
      if (joins_channels(parts)) {
        const auto* src = static_cast<const T*>(at.src[0]);
        for_pixel_blocks(parts, [&](std::size_t i, int64_t part, int64_t whole, int64_t pixels) {
          const int64_t lanes = parts.parts[i].c;
          kernels::copy_lanes(src + whole, parts.whole.c, static_cast<T*>(at.dst[i]) + part, lanes, lanes, pixels);
        });
        return;
      }
      int64_t start = 0;
      for (std::size_t i = 0; i < parts.parts.size(); ++i) {
        auto* dst = static_cast<T*>(at.dst[i]);
        kernels::copy_box(parts.whole, static_cast<const T*>(at.src[0]), parts.parts[i], dst,
                          parts.box(i, start, false));
        kernels::zero_padding(parts.parts[i], dst);
        start += parts.extent(i);
      }
    });
  });
  return plan;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Concat",
       .since = 4,
       .max_inputs = kManyInputs,
       .attrs = {AttrSpec::required("axis", AttrKind::integer)},
       .infer = infer_concat,
       .vjp = vjp_concat,
       .plan = plan_concat,
       .reference = reference_concat,
       .bf16_inputs = ~0U,
       .linear = true,
       .again = "Concat"},
      {.name = "Split",
       .attrs = {{"axis", int64_t{0}}, AttrSpec::optional("split", AttrKind::ints), {"num_outputs", int64_t{0}}},
       .const_inputs = {{1, "split", 13}},
       .normalize = normalize_split,
       .to_onnx = split_to_onnx,
       .infer = infer_split,
       .vjp = vjp_split,
       .plan = plan_split,
       .reference = reference_split,
       .bf16_inputs = 0b1},
  };
  return ops;
}

}  // namespace hourglass::ops::concat
