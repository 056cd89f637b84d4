// ResizeBatchNormalizationGrad: the gradient of BatchNormalization (or ConcatBatchNormalization) of a resized image,
// followed by ResizeGrad, computed on the image before it was resized.    Internal, made by ops/fused/fuse.h;
// ops/batch_normalization.cpp and ops/resize.cpp have the formulas, ops/normalization/resized.h combines them.
//   g: [N,A,H,W], ResizeGrad of the gradient of the normalised image; src: [N,A,H,W], which the node's attributes
//   resize to [N,A,OH,OW]; scale, bias, mean, inv_std: [A+B]; other: [N,B,OH,OW] and diff_other, the gradient of its
//   normalised image: may be absent
//   outputs: diff_src, diff_scale, diff_bias and, with other, its gradient
// There is no activation after the normalisation.
#include <algorithm>
#include <array>

#include "graph/error.h"
#include "ops/geometry/resize_taps.h"
#include "ops/loops/element.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/backward.h"
#include "ops/normalization/resized.h"
#include "ops/table.h"

namespace hourglass::ops::resize_batch_normalization_grad {
namespace {

constexpr std::size_t kOther = 6, kDiffOther = 7;
constexpr double kRoundingBf16 = 1.0 / 128;  // of g, before its mean is subtracted

void infer(InferContext& ctx) {
  const Shape whole = kernels::resized_shape(ctx.attrs, ctx.shape(1));
  if (kernels::crops(ctx.attrs)) fail("Resize sees a part of the image only, which is not supported here");
  if (ctx.shape(0) != ctx.shape(1)) fail("g has shape {}, src {}", ctx.shape(0), ctx.shape(1));
  int64_t channels = whole[1];
  if (ctx.has(kOther)) {
    const Shape& other = ctx.shape(kOther);
    const Shape expected{whole[0], other[1], whole[2], whole[3]};
    if (other != expected) fail("other has shape {}, expected {}", other, expected);
    if (!ctx.has(kDiffOther) || ctx.shape(kDiffOther) != other) fail("other and diff_other come together");
    channels += other[1];
  }
  for (std::size_t i = 2; i < kOther; ++i) {
    if (ctx.shape(i) != Shape{channels}) fail("input {} has shape {}, expected {}", i, ctx.shape(i), Shape{channels});
  }
  ctx.outputs = {*ctx.inputs[1], *ctx.inputs[2], *ctx.inputs[3]};
  if (ctx.has(kOther)) ctx.outputs.push_back(*ctx.inputs[kOther]);
}

// By the formulas of ops/normalization/resized.h, with R and R^T computed by the references of Resize and ResizeGrad.
void reference(ReferenceContext& ctx) {
  const HostTensor &g = *ctx.inputs[0], &src = *ctx.inputs[1];
  const std::vector<double>&scale = ctx.inputs[2]->values, &mean = ctx.inputs[4]->values,
        &inv_std = ctx.inputs[5]->values;
  const OpDef &resize = *op_table().find("Resize"), &resize_grad = *op_table().find("ResizeGrad");
  Attrs attrs = ctx.attrs;
  attrs.set("src_shape", src.shape.dims());
  const auto square = [&](const HostTensor& image) {
    const HostTensor resized = std::move(evaluate_reference(resize, ctx.attrs, {&image})[0]);
    return std::move(evaluate_reference(resize_grad, attrs, {&resized})[0]);
  };
  HostTensor ones = src;
  std::fill(ones.values.begin(), ones.values.end(), 1.0);
  const HostTensor of_src = square(src), r = square(ones);
  const Shape whole = kernels::resized_shape(ctx.attrs, src.shape);
  const auto count = static_cast<double>(whole[0] * whole[2] * whole[3]);
  const auto channels = static_cast<std::size_t>(src.shape[1]),
             plane = src.values.size() / channels / static_cast<std::size_t>(src.shape[0]);
  const auto channel_of = [&](std::size_t i) { return i / plane % channels; };
  std::vector<double>&diff_scale = ctx.outputs[1].values, &diff_bias = ctx.outputs[2].values;
  for (std::size_t i = 0; i < g.values.size(); ++i) {
    const std::size_t c = channel_of(i);
    diff_bias[c] += g.values[i];
    diff_scale[c] += inv_std[c] * g.values[i] * (src.values[i] - mean[c]);
  }
  for (std::size_t i = 0; i < g.values.size(); ++i) {
    const std::size_t c = channel_of(i);
    const double spread = (of_src.values[i] - mean[c] * r.values[i]) * inv_std[c] * diff_scale[c] / count;
    ctx.outputs[0].values[i] = scale[c] * inv_std[c] * (g.values[i] - r.values[i] * diff_bias[c] / count - spread);
  }
  if (ctx.inputs.size() <= kOther) return;
  std::vector<HostTensor> numbers;
  for (std::size_t i = 2; i < kOther; ++i) {
    const std::vector<double>& all = ctx.inputs[i]->values;
    numbers.push_back({DType::f32, Shape{static_cast<int64_t>(all.size() - channels)},
                       std::vector<double>(all.begin() + static_cast<std::ptrdiff_t>(channels), all.end())});
  }
  const OpDef& norm = *op_table().find("BatchNormalizationGrad");
  const std::vector<HostTensor> grads = evaluate_reference(
      norm, {{"alpha", 1.0}},
      {ctx.inputs[kDiffOther], ctx.inputs[kOther], numbers.data(), &numbers[1], &numbers[2], &numbers[3]});
  ctx.outputs[3] = grads[0];
  for (std::size_t i = 1; i < 3; ++i) {
    std::copy(grads[i].values.begin(), grads[i].values.end(),
              ctx.outputs[i].values.begin() + static_cast<std::ptrdiff_t>(channels));
  }
}

KernelPlan plan(PlanContext& ctx) {
  const TensorType& src = ctx.in(1);
  const MemoryDesc small = kernels::with_tag(src, kernels::Tag::nhwc);
  const auto resized = std::make_shared<const kernels::ResizedNormalization>(ctx.node.attrs, src.shape);
  kernels::ScratchLayout offsets;
  offsets.add(resized->scratch_bytes());
  KernelPlan plan{.src = {small, small},
                  .dst = {small},
                  .scratch_bytes = 0,
                  .in_place = {{0, 0}},
                  .implementation = "loop",
                  .rounding = src.dtype == DType::bf16 ? kRoundingBf16 : 0,
                  .kernel = nullptr};
  for (std::size_t i = 2; i < kOther; ++i) plan.src.push_back(kernels::plain(ctx.in(i)));
  for (std::size_t i = 1; i < 3; ++i) plan.dst.push_back(kernels::plain(ctx.out(i)));
  std::optional<kernels::Normalization> other;
  std::size_t other_scratch = 0;
  if (ctx.has(kOther)) {
    const MemoryDesc desc = kernels::with_tag(ctx.in(kOther), kernels::Tag::nhwc);
    plan.src.insert(plan.src.end(), 2, desc);
    plan.dst.push_back(desc);
    plan.in_place.emplace_back(3, kDiffOther);
    const std::size_t element = size_of(src.dtype);
    other.emplace(kernels::Normalization{.walk = {kernels::view_of(desc), 2 * static_cast<int64_t>(element)}});
    other_scratch = offsets.add(other->scratch_bytes(element));
  }
  plan.scratch_bytes = offsets.end();
  const int64_t channels = src.shape[1];
  kernels::with_element(src.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      std::array<const float*, kOther> in{};
      for (std::size_t i = 2; i < kOther; ++i) in[i] = static_cast<const float*>(at.src[i]);
      auto *diff_scale = static_cast<float*>(at.dst[1]), *diff_bias = static_cast<float*>(at.dst[2]);
      resized->take_gradient<T>({.g = at.src[0],
                                 .z = at.src[1],
                                 .scale = in[2],
                                 .mean = in[4],
                                 .inv_std = in[5],
                                 .diff_z = at.dst[0],
                                 .diff_scale = diff_scale,
                                 .diff_bias = diff_bias,
                                 .scratch = at.scratch});
      if (!other) return;
      kernels::normalize_backward<T>(*other, {.diff_dst = at.src[kDiffOther],
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

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "ResizeBatchNormalizationGrad",
       .internal = true,
       .min_inputs = 6,
       .max_inputs = 8,
       .attrs = kernels::resize_attrs("half_pixel", "round_prefer_floor", {}),
       .infer = infer,
       .plan = plan,
       .reference = reference,
       .bf16_inputs = 0b11000011},
  };
  return ops;
}

}  // namespace hourglass::ops::resize_batch_normalization_grad
