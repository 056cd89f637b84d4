// ConvResizeGradSrc: ConvGradSrc, followed by ResizeGrad of its first channels.       Internal, made by
// ops/fused/fuse.h where the source of a convolution is a resized image, alone or concatenated with another.
//   diff_dst [N,OC,OH,OW], weights [OC,A+B,KH,KW]; attributes as ConvGradSrc's, with src_shape [N,A+B,H,W], and
//   Resize's, by which resized_from [N,A,h,w] became [N,A,H,W]
//   outputs: the gradients of the image before it was resized and, where B > 0, of the other channels
// ops/convolution/choose.h lists its kernels.
#include <algorithm>

#include "graph/error.h"
#include "ops/convolution/choose.h"
#include "ops/geometry/resize_taps.h"
#include "ops/table.h"

namespace hourglass::ops::conv_resize_grad_src {
namespace {

Shape with_channels(const Shape& shape, int64_t channels) { return {shape[0], channels, shape[2], shape[3]}; }

// The subset of the attributes that the op declares.
Attrs attrs_of(const OpDef& op, const Attrs& attrs) {
  Attrs result;
  for (const AttrSpec& spec : op.attrs) {
    const auto found = attrs.all().find(spec.name);
    if (found != attrs.all().end()) result.set(found->first, found->second);
  }
  complete_attrs(op, result);
  return result;
}

const OpDef& conv_op() { return *op_table().find("ConvGradSrc"); }

void infer(InferContext& ctx) {
  const Attrs attrs = attrs_of(conv_op(), ctx.attrs);
  InferContext conv{attrs, ctx.inputs, {}};
  conv_op().infer(conv);
  const TensorType whole = conv.outputs[0];
  const Shape small(ctx.attrs.ints("resized_from"));
  if (small.rank() != 4) fail("resized_from is {}, expected [N,C,H,W]", small);
  const Shape resized = kernels::resized_shape(ctx.attrs, small);
  if (kernels::crops(ctx.attrs)) fail("Resize sees a part of the image only, which is not supported here");
  if (resized[1] > whole.shape[1] || with_channels(resized, whole.shape[1]) != whole.shape) {
    fail("{} is resized to {}, which is not the first channels of src {}", small, resized, whole.shape);
  }
  ctx.outputs.push_back({whole.dtype, small});
  if (small[1] < whole.shape[1]) {
    ctx.outputs.push_back({whole.dtype, with_channels(whole.shape, whole.shape[1] - small[1])});
  }
}

// By the references of the two ops that this op stands for.
void reference(ReferenceContext& ctx) {
  const HostTensor whole = std::move(evaluate_reference(conv_op(), attrs_of(conv_op(), ctx.attrs), ctx.inputs)[0]);
  const Shape small(ctx.attrs.ints("resized_from"));
  const auto plane = static_cast<std::ptrdiff_t>(whole.shape[2] * whole.shape[3]);
  std::vector<double> values;
  for (int64_t n = 0; n < whole.shape[0]; ++n) {
    const auto begin = whole.values.begin() + n * whole.shape[1] * plane, middle = begin + small[1] * plane;
    values.insert(values.end(), begin, middle);
    if (ctx.outputs.size() < 2) continue;
    const int64_t others = (whole.shape[1] - small[1]) * plane;
    std::copy(middle, middle + others, ctx.outputs[1].values.begin() + n * others);
  }
  const HostTensor first(whole.dtype, with_channels(whole.shape, small[1]), std::move(values));
  const OpDef& op = *op_table().find("ResizeGrad");
  Attrs attrs = ctx.attrs;
  attrs.set("src_shape", small.dims());
  ctx.outputs[0] = std::move(evaluate_reference(op, attrs_of(op, attrs), {&first})[0]);
}

KernelPlan plan(PlanContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const Shape whole(attrs.ints("src_shape")), small(attrs.ints("resized_from"));
  kernels::Convolution conv =
      kernels::convolution_of(attrs, kernels::Direction::grad_src, {ctx.in(0).dtype, whole}, ctx.in(1), ctx.in(0));
  conv.normalized = kernels::SourceNormalization{.first_channels = small[1]};
  conv.normalized->resized = {small, attrs};
  return kernels::plan_convolution(ctx, conv);
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "ConvResizeGradSrc",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = kernels::convolution_attrs(kernels::resize_attrs(
           "half_pixel", "round_prefer_floor",
           {AttrSpec::required("src_shape", AttrKind::ints), AttrSpec::required("resized_from", AttrKind::ints)})),
       .infer = infer,
       .plan = plan,
       .reference = reference,
       .bf16_inputs = 0b11},
  };
  return ops;
}

}  // namespace hourglass::ops::conv_resize_grad_src
