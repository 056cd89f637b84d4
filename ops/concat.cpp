// Concat: the inputs one behind the other along `axis`.          ONNX Concat (axis is required from opset 4).
//   diff_src[i] = Slice of diff_dst.
// Split: its inverse, outputs of the sizes in `split`, or `num_outputs` equal ones (the last may be smaller).
//   ONNX Split.
//   diff_src = Concat of the diff_dst; where some outputs are unused, the sum of the others' SliceGrads.
#include <algorithm>
#include <numeric>

#include "graph/error.h"
#include "graph/text.h"
#include "ops/moving/concatenation.h"

namespace hourglass::ops::concat {
namespace {

constexpr int kManyInputs = 1 << 20;

int axis_of(const Attrs& attrs, int rank) { return normalize_axis(attrs.integer("axis"), rank); }

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
  return kernels::plan_concatenation(ctx, axis_of(ctx.node.attrs, ctx.out().shape.rank()));
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
      const ValueId diff =
          ctx.b.add("SliceGrad", {ctx.grad_out(i)},
                    {{"starts", Dims{start}}, {"ends", Dims{end}}, {"axes", Dims{axis}}, {"shape", src.dims()}},
                    ctx.node.name + "/grad");
      sum = sum.valid() ? ctx.b.add("Add", {sum, diff}, {}, ctx.node.name + "/grad") : diff;
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
  return kernels::plan_split(ctx, axis_of(ctx.node.attrs, ctx.in(0).shape.rank()));
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
