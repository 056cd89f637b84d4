// ResizeBatchNormalizationGrad: the gradient of BatchNormalization (or ConcatBatchNormalization) of a resized image,
// and ResizeGrad of what it passes back.    Internal, made by graph/fuse.h; ops/batch_normalization.cpp and
// ops/resize.cpp have the formulas, ops/detail/resized_normalization.h how the two become one.
//   diff_dst: [N,A+B,OH,OW]; src: [N,A,H,W], which the node's attributes resize to [N,A,OH,OW]; scale, bias, mean,
//   inv_std: [A+B]; other: [N,B,OH,OW], may be absent
//   outputs: diff_src, diff_scale, diff_bias and, with other, its gradient
// There is no activation between the normalisation and diff_dst.
#include <array>

#include "graph/error.h"
#include "ops/detail/batch_normalization.h"
#include "ops/detail/onednn.h"
#include "ops/detail/resize_taps.h"
#include "ops/detail/resized_normalization.h"
#include "ops/table.h"

namespace hourglass::ops {
namespace {

constexpr std::size_t kOther = 6;
constexpr double kRoundingBf16 = 1.0 / 128;  // the gradient is rounded before the mean is taken off, and again behind

void infer(InferContext& ctx) {
  Shape whole = detail::resized_shape(ctx.attrs, ctx.shape(1));
  if (detail::crops(ctx.attrs)) fail("Resize sees a part of the image only, which is not supported here");
  if (ctx.has(kOther)) {
    const Shape& other = ctx.shape(kOther);
    const Shape expected{whole[0], other[1], whole[2], whole[3]};
    if (other != expected) fail("other has shape {}, expected {}", other, expected);
    whole = Shape{whole[0], whole[1] + other[1], whole[2], whole[3]};
  }
  if (ctx.shape(0) != whole) fail("diff_dst has shape {}, expected {}", ctx.shape(0), whole);
  for (std::size_t i = 2; i < kOther; ++i) {
    if (ctx.shape(i) != Shape{whole[1]}) fail("input {} has shape {}, expected {}", i, ctx.shape(i), Shape{whole[1]});
  }
  ctx.outputs = {*ctx.inputs[1], *ctx.inputs[2], *ctx.inputs[3]};
  if (ctx.has(kOther)) ctx.outputs.push_back(*ctx.inputs[kOther]);
}

// The ops that this one stands for.
void reference(ReferenceContext& ctx) {
  const bool has_other = ctx.inputs.size() > kOther;
  const HostTensor& src = *ctx.inputs[1];
  const HostTensor resized = std::move(evaluate_reference(*op_table().find("Resize"), ctx.attrs, {&src})[0]);
  std::vector<const HostTensor*> inputs{ctx.inputs[0], &resized};
  if (has_other) inputs.push_back(ctx.inputs[kOther]);
  inputs.insert(inputs.end(), ctx.inputs.begin() + 2, ctx.inputs.begin() + kOther);
  const OpDef& op = *op_table().find(has_other ? "ConcatBatchNormalizationGrad" : "BatchNormalizationGrad");
  std::vector<HostTensor> grads = evaluate_reference(op, {{"alpha", 1.0}}, inputs);
  Attrs attrs = ctx.attrs;
  attrs.set("src_shape", src.shape.dims());
  ctx.outputs[0] = std::move(evaluate_reference(*op_table().find("ResizeGrad"), attrs, {grads.data()})[0]);
  for (std::size_t i = 1; i < 3; ++i) ctx.outputs[i] = std::move(grads[i + (has_other ? 1 : 0)]);
  if (has_other) ctx.outputs[3] = std::move(grads[1]);
}

KernelPlan plan(PlanContext& ctx) {
  const TensorType &whole = ctx.in(0), &src = ctx.in(1);
  const MemoryDesc small = detail::with_tag(src, detail::Tag::nhwc);
  const auto resized = std::make_shared<const detail::ResizedNormalization>(ctx.node.attrs, src.shape, whole.shape[1]);
  detail::Offsets offsets;
  offsets.add(resized->scratch_bytes());
  KernelPlan plan{.src = {detail::with_tag(whole, detail::Tag::nhwc), small},
                  .dst = {small},
                  .scratch_bytes = 0,
                  .implementation = "loop",
                  .rounding = src.dtype == DType::bf16 ? kRoundingBf16 : 0,
                  .kernel = nullptr};
  for (std::size_t i = 2; i < kOther; ++i) plan.src.push_back(detail::plain(ctx.in(i)));
  for (std::size_t i = 1; i < 3; ++i) plan.dst.push_back(detail::plain(ctx.out(i)));
  std::optional<detail::Normalization> other;
  std::size_t other_scratch = 0;
  if (ctx.has(kOther)) {
    const MemoryDesc desc = detail::with_tag(ctx.in(kOther), detail::Tag::nhwc);
    plan.src.push_back(desc);
    plan.dst.push_back(desc);
    const std::size_t element = size_of(src.dtype);
    other.emplace(detail::Normalization{.walk = {detail::view_of(desc), 2 * static_cast<int64_t>(element)}});
    other_scratch = offsets.add(other->scratch_bytes(element));
  }
  plan.scratch_bytes = offsets.end();
  const int64_t channels = src.shape[1];
  detail::with_element(src.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      std::array<const float*, kOther> in{};
      for (std::size_t i = 2; i < kOther; ++i) in[i] = static_cast<const float*>(at.src[i]);
      auto *diff_scale = static_cast<float*>(at.dst[1]), *diff_bias = static_cast<float*>(at.dst[2]);
      resized->take_gradient<T>({.diff_dst = at.src[0],
                                 .z = at.src[1],
                                 .scale = in[2],
                                 .mean = in[4],
                                 .inv_std = in[5],
                                 .diff_z = at.dst[0],
                                 .diff_scale = diff_scale,
                                 .diff_bias = diff_bias,
                                 .others = other ? at.dst[3] : nullptr,
                                 .scratch = at.scratch});
      if (!other) return;
      detail::normalize_backward<T>(*other, {.diff_dst = at.dst[3],
                                             .src = at.src[kOther],
                                             .scale = in[2] + channels,
                                             .bias = in[3] + channels,
                                             .mean = in[4] + channels,
                                             .inv_std = in[5] + channels,
                                             .diff_src = at.dst[3],
                                             .diff_scale = diff_scale + channels,
                                             .diff_bias = diff_bias + channels,
                                             .scratch = static_cast<char*>(at.scratch) + other_scratch});
    });
  });
  return plan;
}

}  // namespace

std::span<const OpDef> resize_batch_normalization_grad_ops() {
  static const OpDef ops[] = {
      {.name = "ResizeBatchNormalizationGrad",
       .internal = true,
       .min_inputs = 6,
       .max_inputs = 7,
       .attrs = detail::resize_attrs("half_pixel", "round_prefer_floor", {}),
       .infer = infer,
       .plan = plan,
       .reference = reference,
       .bf16_inputs = 0b1000011,
       .cases = {"1x8x10x14 1x8x5x7 8 8 8 8@0.5..2 | mode=linear scales=[1,1,2,2]",
                 "2x20x18x8 2x17x9x4 20 20 20 20@0.5..2 2x3x18x8 | scales=[1,1,2,2]",
                 "1x3x11x9 1x3x7x5 3 3 3 3@0.5..2 | mode=linear scales=[1,1,1.7,1.8]",
                 "2x7x10x10 2x5x5x5 7 7 7 7@0.5..2 2x2x10x10 | mode=cubic scales=[1,1,2,2]",
                 "1x36x80x72 1x32x40x36 36 36 36 36@0.5..2 1x4x80x72 | mode=linear scales=[1,1,2,2]",
                 "1x132x9x40 1x128x5x20 132 132 132 132@0.5..2 1x4x9x40 | "
                 "mode=linear sizes=[1,128,9,40] coordinate_transformation_mode=align_corners"}},
  };
  return ops;
}

}  // namespace hourglass::ops
