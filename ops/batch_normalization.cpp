// BatchNormalization: dst = act(xhat * scale + bias), xhat = (src - mean) * inv_std.       ONNX BatchNormalization-15
//   src, dst: [N,C,...]; scale, bias, mean, inv_std: [C].  mean and the biased variance are taken over N and space, of
//   this very batch, whatever training_mode says; inv_std = 1 / sqrt(variance + epsilon).
//   act(y) = y > 0 ? y : alpha * y: a LeakyRelu or Relu behind the normalisation, alpha = 1 for none.
// Gradient, with M = N * space, y = xhat * scale + bias and dz = diff_dst * (y > 0 ? 1 : alpha), 0 if that factor is 0:
//   diff_bias = sum(dz)    diff_scale = sum(dz * xhat)
//   diff_src = scale * inv_std * (dz - diff_bias / M - xhat * diff_scale / M)
// Only src, mean and inv_std are kept for it: y is cheaper to compute again than to store.
//   Ioffe, Szegedy, ICML 2015.
//
// BatchNormalizationApply: dst as above, with mean and inv_std given.
// BatchNormalizationStatistics: mean and inv_std alone.
// BatchNormalizationInference: src, scale, bias and the file's running mean and variance, a composition. It is what a
// file that is not trained here means (ImportOptions::fixed).
#include <algorithm>
#include <cmath>

#include "graph/error.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/math.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"
#include "ops/normalization/backward.h"
#include "ops/normalization/forward.h"

namespace hourglass::ops::batch_normalization {
namespace {

using kernels::Normalization;
using kernels::View;

// ---- definition

void normalize(NormalizeContext& ctx) {
  if (ctx.attrs.has("spatial") && ctx.attrs.integer("spatial") == 0) {
    fail("spatial=0 (statistics per pixel) is not supported; expected spatial=1 (statistics per channel)");
  }
  // How a file says that it trains: is_test=0 before opset 7, more than one output before 14, training_mode since.
  bool trains = ctx.outputs.size() > 1;
  if (ctx.opset >= 14) trains = ctx.attrs.has("training_mode") && ctx.attrs.integer("training_mode") != 0;
  if (ctx.opset < 7) trains = !ctx.attrs.has("is_test") || ctx.attrs.integer("is_test") == 0;
  for (const char* old : {"spatial", "is_test", "consumed_inputs"}) ctx.attrs.erase(old);
  if (ctx.fixed && !trains) {
    ctx.op = "BatchNormalizationInference";
    for (const char* of_training : {"momentum", "training_mode"}) ctx.attrs.erase(of_training);
    return;
  }
  if (!trains) ctx.notes.emplace_back("BatchNormalization is trained with batch statistics");
  ctx.attrs.set("training_mode", int64_t{trains});
  if (ctx.inputs.size() > 3) ctx.inputs.resize(3);    // running mean and variance
  if (ctx.outputs.size() > 1) ctx.outputs.resize(1);  // their updates, and the old opsets' saved statistics
}

// factor * src + (bias - mean * factor), factor = scale / sqrt(variance + epsilon).
std::vector<ValueId> lower_inference(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0], scale = ctx.node.inputs[1], bias = ctx.node.inputs[2];
  const ValueId mean = ctx.node.inputs[3], variance = ctx.node.inputs[4];
  const Shape shape = ctx.shape(src);
  if (shape.rank() < 2) fail("src has shape {}, expected at least [N,C]", shape);
  for (std::size_t i = 1; i < 5; ++i) {
    const Shape given = ctx.shape(ctx.node.inputs[i]);
    if (given != Shape{shape[1]})
      fail("input {} has shape {}, expected {}, one per channel of src", i, given, shape[1]);
  }
  const ValueId epsilon = ctx.number(variance, ctx.node.attrs.real("epsilon"));
  const ValueId factor = ctx.add("Div", {scale, ctx.add("Sqrt", {ctx.add("Add", {variance, epsilon})})});
  const ValueId offset = ctx.add("Sub", {bias, ctx.add("Mul", {mean, factor})});
  Dims per_channel(static_cast<std::size_t>(shape.rank()) - 1, 1);
  per_channel[0] = shape[1];
  return {ctx.add("Add", {ctx.add("Mul", {src, ctx.reshape(factor, per_channel)}), ctx.reshape(offset, per_channel)})};
}

// Batch statistics are ONNX's training mode. Running statistics and their updates are written as constants and unused
// outputs: ONNX's shape inference insists on them.
bool to_onnx(ToOnnxContext& ctx) {
  if (ctx.output_used[1] || ctx.output_used[2] || ctx.node.attrs.real("alpha") != 1) return false;
  const Shape channels = ctx.graph.shape(ctx.node.inputs[1]);
  HostTensor variance(DType::f32, channels);
  std::fill(variance.values.begin(), variance.values.end(), 1.0);
  ctx.inputs.resize(3);
  ctx.inputs.push_back(ctx.constant("mean", HostTensor(DType::f32, channels)));
  ctx.inputs.push_back(ctx.constant("variance", std::move(variance)));
  ctx.attrs.set("training_mode", int64_t{1});
  return true;
}

// In ONNX it is BatchNormalization with training_mode = 0; a graph here holds its parts.
bool inference_to_onnx(ToOnnxContext& ctx) {
  ctx.op = "BatchNormalization";
  return true;
}

void check_parameter(const InferContext& ctx, std::size_t index, const char* name, int64_t channels) {
  const TensorType& type = *ctx.inputs[index];
  if (type.dtype != DType::f32 || type.shape != Shape{channels}) {
    fail("{} is {}:{}, expected f32:{}, one per channel of src", name, type.dtype, type.shape, channels);
  }
}

void check_src(const InferContext& ctx, std::size_t index) {
  const TensorType& type = *ctx.inputs[index];
  if (type.shape.rank() < 2) fail("src has shape {}, expected at least [N,C]", type.shape);
  if (!is_floating(type.dtype)) fail("src has {} elements, expected floating ones", type.dtype);
}

void infer_forward(InferContext& ctx) {
  check_src(ctx, 0);
  const int64_t channels = ctx.shape(0)[1];
  check_parameter(ctx, 1, "scale", channels);
  check_parameter(ctx, 2, "bias", channels);
  const TensorType statistic{DType::f32, Shape{channels}};
  ctx.outputs = {*ctx.inputs[0], statistic, statistic};
}

void infer_apply(InferContext& ctx) {
  check_src(ctx, 0);
  const char* names[] = {"scale", "bias", "mean", "inv_std"};
  for (std::size_t i = 0; i < 4; ++i) check_parameter(ctx, 1 + i, names[i], ctx.shape(0)[1]);
  ctx.outputs = {*ctx.inputs[0]};
}

void infer_statistics(InferContext& ctx) {
  check_src(ctx, 0);
  const TensorType statistic{DType::f32, Shape{ctx.shape(0)[1]}};
  ctx.outputs = {statistic, statistic};
}

void infer_backward(InferContext& ctx) {
  check_src(ctx, 1);
  if (ctx.shape(0) != ctx.shape(1)) fail("diff_dst has shape {}, src {}", ctx.shape(0), ctx.shape(1));
  const int64_t channels = ctx.shape(1)[1];
  const char* names[] = {"scale", "bias", "mean", "inv_std"};
  for (std::size_t i = 0; i < 4; ++i) check_parameter(ctx, 2 + i, names[i], channels);
  ctx.outputs = {*ctx.inputs[1], *ctx.inputs[2], *ctx.inputs[3]};
}

void vjp(VjpContext& ctx) {
  if (!ctx.grad_out().valid()) return;  // only the statistics are used: they are not differentiated
  const std::vector<ValueId> grads =
      ctx.b.add_all("BatchNormalizationGrad", {ctx.grad_out(), ctx.in(0), ctx.in(1), ctx.in(2), ctx.out(1), ctx.out(2)},
                    {{"alpha", ctx.node.attrs.real("alpha")}}, ctx.node.name + "/grad");
  for (std::size_t i = 0; i < 3; ++i) {
    if (ctx.wants(i)) ctx.set_grad(i, grads[i]);
  }
}

// fn(channel, index) for every element of a row-major [N,C,...].
template <typename Function>
void for_each_element(const Shape& shape, const Function& fn) {
  const int64_t channels = shape[1];
  const int64_t space = shape.elements() / std::max<int64_t>(shape[0] * channels, 1);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    fn(static_cast<std::size_t>(i / space % channels), static_cast<std::size_t>(i));
  }
}

void reference_statistics(const HostTensor& src, double epsilon, std::vector<double>& mean,
                          std::vector<double>& inv_std) {
  const double count = static_cast<double>(src.shape.elements()) / static_cast<double>(src.shape[1]);
  std::vector<double> variance(static_cast<std::size_t>(src.shape[1]));
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) { mean[c] += src.values[i] / count; });
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    variance[c] += (src.values[i] - mean[c]) * (src.values[i] - mean[c]) / count;
  });
  for (std::size_t c = 0; c < mean.size(); ++c) inv_std[c] = 1 / std::sqrt(variance[c] + epsilon);
}

void reference_statistics(ReferenceContext& ctx) {
  reference_statistics(*ctx.inputs[0], ctx.attrs.real("epsilon"), ctx.outputs[0].values, ctx.outputs[1].values);
}

void reference_forward(ReferenceContext& ctx) {
  const double alpha = ctx.attrs.real("alpha");
  const HostTensor& src = *ctx.inputs[0];
  const auto& scale = ctx.inputs[1]->values;
  const auto& bias = ctx.inputs[2]->values;
  auto& mean = ctx.outputs[1].values;
  auto& inv_std = ctx.outputs[2].values;
  reference_statistics(src, ctx.attrs.real("epsilon"), mean, inv_std);
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    const double y = (src.values[i] - mean[c]) * inv_std[c] * scale[c] + bias[c];
    ctx.outputs[0].values[i] = y > 0 ? y : alpha * y;
  });
}

void reference_apply(ReferenceContext& ctx) {
  const double alpha = ctx.attrs.real("alpha");
  const HostTensor& src = *ctx.inputs[0];
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    const double xhat = (src.values[i] - ctx.inputs[3]->values[c]) * ctx.inputs[4]->values[c];
    const double y = xhat * ctx.inputs[1]->values[c] + ctx.inputs[2]->values[c];
    ctx.outputs[0].values[i] = y > 0 ? y : alpha * y;
  });
}

void reference_backward(ReferenceContext& ctx) {
  const double alpha = ctx.attrs.real("alpha");
  const HostTensor& src = *ctx.inputs[1];
  const auto& scale = ctx.inputs[2]->values;
  const auto& bias = ctx.inputs[3]->values;
  const auto& mean = ctx.inputs[4]->values;
  const auto& inv_std = ctx.inputs[5]->values;
  auto& diff_scale = ctx.outputs[1].values;
  auto& diff_bias = ctx.outputs[2].values;
  const double count = static_cast<double>(src.shape.elements()) / static_cast<double>(src.shape[1]);
  const auto xhat = [&](std::size_t c, std::size_t i) { return (src.values[i] - mean[c]) * inv_std[c]; };
  const auto dz = [&](std::size_t c, std::size_t i) {
    const double diff_dst = ctx.inputs[0]->values[i];
    return xhat(c, i) * scale[c] + bias[c] > 0 ? diff_dst : kernels::math::chain(diff_dst, alpha);
  };
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    diff_bias[c] += dz(c, i);
    diff_scale[c] += dz(c, i) * xhat(c, i);
  });
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    ctx.outputs[0].values[i] =
        scale[c] * inv_std[c] * (dz(c, i) - diff_bias[c] / count - xhat(c, i) * diff_scale[c] / count);
  });
}

// ---- kernels

View view_for(const MemoryDesc& desc, const Shape& shape) {
  if (shape.rank() == 4) return kernels::view_of(desc);
  View v;  // row-major, space in one row
  v.n = shape[0];
  v.c = v.groups = shape[1];
  v.h = 1;
  v.w = shape.elements() / std::max<int64_t>(v.n * v.c, 1);
  v.stride_w = 1;
  v.stride_g = v.stride_h = v.w;
  v.stride_n = v.c * v.w;
  return v;
}

MemoryDesc layout_for(const MemoryDesc& given, const TensorType& type) {
  const bool fits = type.shape.rank() == 4 && kernels::is_viewable(given) && kernels::view_of(given).dense_rows();
  return fits ? given : kernels::plain(type);
}

// Row-major descriptors of a node's values from `first` on.
template <typename Ids>
void append_plain(const PlanContext& ctx, const Ids& ids, std::size_t first, std::vector<MemoryDesc>& descs) {
  for (std::size_t i = first; i < ids.size(); ++i) descs.push_back(kernels::plain(ctx.graph.type(ids[i])));
}

const float* floats(const Addresses& at, std::size_t input) { return static_cast<const float*>(at.src[input]); }
float* float_output(const Addresses& at, std::size_t output) { return static_cast<float*>(at.dst[output]); }

// Of the activation `type` in the layout `desc`.
Normalization normalization_of(PlanContext& ctx, const TensorType& type, const MemoryDesc& desc) {
  return {.walk = {view_for(desc, type.shape), 2 * static_cast<int64_t>(size_of(type.dtype))},
          .alpha = static_cast<float>(ctx.node.attrs.real("alpha"))};
}

KernelPlan plan_forward(PlanContext& ctx) {
  kernels::require_float(ctx.in(0));
  const TensorType& type = ctx.in(0);
  const MemoryDesc desc = layout_for(ctx.src[0], type);
  const Normalization normalization = normalization_of(ctx, type, desc);
  KernelPlan plan{.src = {desc},
                  .dst = {desc},
                  .scratch_bytes = normalization.scratch_bytes(size_of(type.dtype)),
                  .implementation = "loop",
                  .kernel = nullptr};
  append_plain(ctx, ctx.node.inputs, 1, plan.src);
  append_plain(ctx, ctx.node.outputs, 1, plan.dst);
  const double epsilon = ctx.node.attrs.real("epsilon");
  kernels::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      kernels::normalize_forward<T>(normalization,
                                    {.src = at.src[0],
                                     .scale = floats(at, 1),
                                     .bias = floats(at, 2),
                                     .dst = at.dst[0],
                                     .mean = float_output(at, 1),
                                     .inv_std = float_output(at, 2),
                                     .scratch = at.scratch},
                                    epsilon);
    });
  });
  return plan;
}

KernelPlan plan_statistics(PlanContext& ctx) {
  const TensorType& type = ctx.in(0);
  const MemoryDesc desc = layout_for(ctx.src[0], type);
  const Normalization src{.walk = {view_for(desc, type.shape), static_cast<int64_t>(size_of(type.dtype))}};
  KernelPlan plan{.src = {desc},
                  .dst = {},
                  .scratch_bytes = src.scratch_bytes(size_of(type.dtype)),
                  .implementation = "loop",
                  .kernel = nullptr};
  append_plain(ctx, ctx.node.outputs, 0, plan.dst);
  const double epsilon = ctx.node.attrs.real("epsilon");
  kernels::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      kernels::normalization_statistics<T>(
          src, {.src = at.src[0], .mean = float_output(at, 0), .inv_std = float_output(at, 1), .scratch = at.scratch},
          epsilon);
    });
  });
  return plan;
}

KernelPlan plan_apply(PlanContext& ctx) {
  kernels::require_float(ctx.in(0));
  const TensorType& type = ctx.in(0);
  const MemoryDesc desc = layout_for(ctx.src[0], type);
  const Normalization normalization = normalization_of(ctx, type, desc);
  KernelPlan plan{.src = {desc},
                  .dst = {desc},
                  .scratch_bytes = normalization.scratch_bytes(size_of(type.dtype)),
                  .in_place = {{0, 0}},
                  .implementation = "loop",
                  .kernel = nullptr};
  append_plain(ctx, ctx.node.inputs, 1, plan.src);
  kernels::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      kernels::normalize_apply<T>(normalization, {.src = at.src[0],
                                                  .scale = floats(at, 1),
                                                  .bias = floats(at, 2),
                                                  .mean = floats(at, 3),
                                                  .inv_std = floats(at, 4),
                                                  .dst = at.dst[0],
                                                  .scratch = at.scratch});
    });
  });
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  const TensorType& type = ctx.in(1);
  const MemoryDesc desc = layout_for(ctx.src[1], type);
  const Normalization normalization = normalization_of(ctx, type, desc);
  KernelPlan plan{.src = {desc, desc},
                  .dst = {desc},
                  .scratch_bytes = normalization.scratch_bytes(size_of(type.dtype)),
                  .in_place = {{0, 0}, {0, 1}},
                  .implementation = "loop",
                  .kernel = nullptr};
  append_plain(ctx, ctx.node.inputs, 2, plan.src);
  append_plain(ctx, ctx.node.outputs, 1, plan.dst);
  kernels::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      kernels::normalize_backward<T>(normalization, {.diff_dst = at.src[0],
                                                     .src = at.src[1],
                                                     .scale = floats(at, 2),
                                                     .bias = floats(at, 3),
                                                     .mean = floats(at, 4),
                                                     .inv_std = floats(at, 5),
                                                     .diff_src = at.dst[0],
                                                     .diff_scale = float_output(at, 1),
                                                     .diff_bias = float_output(at, 2),
                                                     .scratch = at.scratch});
    });
  });
  return plan;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "BatchNormalization",
       .min_inputs = 3,
       .max_inputs = 3,
       .attrs = {{"epsilon", 1e-5}, {"momentum", 0.9}, {"training_mode", int64_t{0}}, {"alpha", 1.0}},
       .normalize = normalize,
       .to_onnx = to_onnx,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b001,
       .again = "BatchNormalizationApply"},
      {.name = "BatchNormalizationInference",
       .internal = true,
       .min_inputs = 5,
       .max_inputs = 5,
       .attrs = {{"epsilon", 1e-5}},
       .lower = lower_inference,
       .to_onnx = inference_to_onnx},
      {.name = "BatchNormalizationApply",
       .internal = true,
       .min_inputs = 5,
       .max_inputs = 5,
       .attrs = {{"alpha", 1.0}},
       .infer = infer_apply,
       .plan = plan_apply,
       .reference = reference_apply,
       .bf16_inputs = 0b1},
      {.name = "BatchNormalizationStatistics",
       .internal = true,
       .attrs = {{"epsilon", 1e-5}},
       .infer = infer_statistics,
       .plan = plan_statistics,
       .reference = reference_statistics,
       .bf16_inputs = 0b1},
      {.name = "BatchNormalizationGrad",
       .internal = true,
       .min_inputs = 6,
       .max_inputs = 6,
       .attrs = {{"alpha", 1.0}},
       .infer = infer_backward,
       .plan = plan_backward,
       .reference = reference_backward,
       .bf16_inputs = 0b11},
  };
  return ops;
}

}  // namespace hourglass::ops::batch_normalization
