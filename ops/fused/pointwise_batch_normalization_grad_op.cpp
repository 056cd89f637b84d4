// PointwiseBatchNormalizationGrad: BatchNormalizationGrad whose diff_dst, the gradient of a pointwise Conv's source, is
// computed while it is read and never stored.    Internal, made by ops/fused/fuse.h; ops/batch_normalization.cpp has
// the formulas.
//   diff_out: [N,O,H,W], O at most 4; weights: [O,C,1,1]; src: [N,C,H,W]; scale, bias, mean, inv_std: [C]; other:
//   [N,C,H,W], may be absent
//   diff_dst = the gradient of the source of a pointwise Conv with these weights, + other
//   outputs: diff_src, diff_scale and diff_bias of BatchNormalizationGrad
#include <algorithm>

#include "graph/error.h"
#include "ops/loops/element.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"
#include "ops/normalization/backward.h"
#include "ops/table.h"

namespace hourglass::ops::pointwise_batch_normalization_grad {
namespace {

constexpr std::size_t kOther = 7;

bool has_other(std::size_t inputs) { return inputs > kOther; }

void infer(InferContext& ctx) {
  const Shape &diff = ctx.shape(0), &weights = ctx.shape(1), &src = ctx.shape(2);
  if (src.rank() != 4 || diff != Shape{src[0], diff[1], src[2], src[3]} || weights != Shape{diff[1], src[1], 1, 1}) {
    fail("diff_out has shape {}, weights {}, src {}: no pointwise convolution", diff, weights, src);
  }
  if (diff[1] < 1 || diff[1] > kernels::PointwiseGradient::kMostChannels) {
    fail("diff_out has {} channels, expected 1 to {}", diff[1], kernels::PointwiseGradient::kMostChannels);
  }
  for (std::size_t i = 3; i < kOther; ++i) {
    if (ctx.shape(i) != Shape{src[1]}) fail("input {} has shape {}, expected {}", i, ctx.shape(i), Shape{src[1]});
  }
  if (has_other(ctx.inputs.size()) && ctx.shape(kOther) != src) {
    fail("what is added has shape {}, src {}", ctx.shape(kOther), src);
  }
  ctx.outputs = {*ctx.inputs[2], *ctx.inputs[3], *ctx.inputs[4]};
}

void reference(ReferenceContext& ctx) {
  const HostTensor &diff = *ctx.inputs[0], &weights = *ctx.inputs[1], &src = *ctx.inputs[2];
  const int64_t outputs = diff.shape[1], channels = src.shape[1], space = src.shape[2] * src.shape[3];
  HostTensor diff_dst(src.dtype, src.shape);
  if (has_other(ctx.inputs.size())) diff_dst.values = ctx.inputs[kOther]->values;
  for (int64_t i = 0; i < src.shape.elements(); ++i) {
    const int64_t n = i / (channels * space), c = i / space % channels;
    for (int64_t o = 0; o < outputs; ++o) {
      diff_dst.values[static_cast<std::size_t>(i)] +=
          diff.values[static_cast<std::size_t>((n * outputs + o) * space + i % space)] *
          weights.values[static_cast<std::size_t>(o * channels + c)];
    }
  }
  ReferenceContext norm{.attrs = ctx.attrs, .inputs = {&diff_dst}, .outputs = std::move(ctx.outputs)};
  norm.inputs.insert(norm.inputs.end(), ctx.inputs.begin() + 2, ctx.inputs.begin() + kOther);
  op_table().find("BatchNormalizationGrad")->reference(norm);
  ctx.outputs = std::move(norm.outputs);
}

const float* floats(const Addresses& at, std::size_t input) { return static_cast<const float*>(at.src[input]); }
float* float_output(const Addresses& at, std::size_t output) { return static_cast<float*>(at.dst[output]); }

KernelPlan plan(PlanContext& ctx) {
  const TensorType &diff = ctx.in(0), &src = ctx.in(2);
  const MemoryDesc image = kernels::with_tag(src, kernels::Tag::nhwc);
  kernels::Normalization normalization{.walk = {kernels::view_of(image), 2 * static_cast<int64_t>(size_of(src.dtype))},
                                       .alpha = static_cast<float>(ctx.node.attrs.real("alpha"))};
  kernels::cut_finer(normalization.walk);
  const int64_t channels = diff.shape[1];
  KernelPlan plan{
      .src = {kernels::with_tag(diff, kernels::Tag::nhwc), kernels::with_tag(ctx.in(1), kernels::Tag::hwio), image},
      .dst = {image},
      .scratch_bytes = kernels::pointwise_scratch_bytes(normalization, channels),
      .in_place = {{0, 2}},
      .implementation = "loop",
      .kernel = nullptr};
  for (std::size_t i = 3; i < kOther; ++i) plan.src.push_back(kernels::plain(ctx.in(i)));
  if (ctx.has(kOther)) {
    plan.src.push_back(image);
    plan.in_place.emplace_back(0, static_cast<int>(kOther));
  }
  for (std::size_t i = 1; i < 3; ++i) plan.dst.push_back(kernels::plain(ctx.out(i)));
  kernels::with_element(src.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      const kernels::PointwiseGradient from{
          .conv_diff_dst = at.src[0], .conv_weights = at.src[1], .channels = channels};
      kernels::normalize_backward<T>(normalization,
                                     {.diff_dst = has_other(at.src.size()) ? at.src[kOther] : nullptr,
                                      .src = at.src[2],
                                      .scale = floats(at, 3),
                                      .bias = floats(at, 4),
                                      .mean = floats(at, 5),
                                      .inv_std = floats(at, 6),
                                      .diff_src = at.dst[0],
                                      .diff_scale = float_output(at, 1),
                                      .diff_bias = float_output(at, 2),
                                      .scratch = at.scratch},
                                     from);
    });
  });
  return plan;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "PointwiseBatchNormalizationGrad",
       .internal = true,
       .min_inputs = 7,
       .max_inputs = 8,
       .attrs = {{"alpha", 1.0}},
       .infer = infer,
       .plan = plan,
       .reference = reference,
       .bf16_inputs = 0b10000111},
  };
  return ops;
}

}  // namespace hourglass::ops::pointwise_batch_normalization_grad
