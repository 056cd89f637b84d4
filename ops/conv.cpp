// Conv: a cross-correlation.                                                                     ONNX Conv-11 (from 1)
//   dst[n,oc,oh,ow] = bias[oc] + sum over ic,kh,kw of src[n,ic,ih,iw] * weights[oc,ic,kh,kw],
//   ih = oh * stride - pad_begin + kh * dilation (zero outside the source), ic within oc's group
//   src [N,C,H,W], weights [OC,C/group,KH,KW], bias [OC] (optional, always f32), dst [N,OC,OH,OW]
//   pad_mode (not ONNX's) says what stands outside the source instead of zero, as Pad's mode does: ops/fused/fuse.cpp
//   joins a Pad and its Conv so. band_rows sets how many rows of dst are computed at a time; 0 leaves it to the kernel.
//   Signals [N,C,W] are convolved as images of one row. Volumes [N,C,D,H,W]: the KD slices that an output slice sees
//   become the channels of one image, and a 2-D Conv of these images makes the output slices.
// FusedConv: dst = Conv(normalise(resize(src))), made by ops/fused/fuse.h.
//   Inputs src, weights, then scale, bias, mean, inv_std ([C] each; absent: src is convolved as it is), a second
//   activation whose channels follow src's (optional), Conv's bias (optional). normalise() is BatchNormalizationApply
//   with alpha, or ConcatBatchNormalizationApply with the second activation; resize() is Resize of src, where the node
//   has Resize's attributes. Outputs: dst and, with_statistics, mean and inv_std of dst
//   (BatchNormalizationStatistics).
// ConvGradSrc:     diff_src is the transposed convolution of diff_dst (see also ops/conv_transpose.cpp)
// ConvGradWeights: diff_weights[oc,ic,kh,kw] = sum over n,oh,ow of src * diff_dst; diff_bias[oc] = sum of diff_dst
//   Its source is normalised and resized like FusedConv's, where scale, bias, mean and inv_std are given.
//
// Kernels: ops/convolution/choose.h lists them.
#include <algorithm>

#include "graph/error.h"
#include "ops/convolution/choose.h"
#include "ops/convolution/source.h"
#include "ops/fused/statistics_outputs.h"
#include "ops/geometry/resize_taps.h"
#include "ops/geometry/window_along.h"
#include "ops/loops/element_walk.h"
#include "ops/table.h"

namespace hourglass::ops::conv {
namespace {

using kernels::checked_window;
using kernels::Convolution;
using kernels::convolution_of;
using kernels::Direction;
using kernels::padding_mode_of;
using kernels::Window;
using kernels::window_along;

// ONNX knows zero padding only.
bool to_onnx(ToOnnxContext& ctx) {
  ctx.attrs.erase("band_rows");
  return padding_mode_of(ctx.node.attrs) == kernels::PaddingMode::constant;
}

Shape dst_shape(const Window& window, const Shape& src, const Shape& weights) {
  return {src[0], weights[0], window.h.dst, window.w.dst};
}

void require_dst(const Window& window, const Shape& src, const Shape& weights, const Shape& diff_dst) {
  const Shape expected = dst_shape(window, src, weights);
  if (diff_dst != expected) fail("diff_dst is {}, expected {}", diff_dst, expected);
}

void require_same_type(const TensorType& a, const TensorType& b, std::string_view names) {
  if (a.dtype != b.dtype || (a.dtype != DType::f32 && a.dtype != DType::bf16)) {
    fail("{} are {} and {}; both must be f32, or both bf16", names, a.dtype, b.dtype);
  }
}

// Of the first image, as it is normalised.
TensorType resized_source(const Attrs& attrs, const TensorType& src) {
  return kernels::resizes(attrs) ? TensorType{src.dtype, kernels::resized_shape(attrs, src.shape)} : src;
}

void check_resizing(const Attrs& attrs, const Shape& src) {
  if (!kernels::resizes(attrs)) return;
  const Shape resized = kernels::resized_shape(attrs, src);
  constexpr int64_t kMost = kernels::SeparableMap::kMostChannels;
  if (attrs.real("alpha") != 1) fail("a source that is resized has no activation, alpha is {}", attrs.real("alpha"));
  if (kernels::crops(attrs) || resized[2] < src[2] || resized[3] < src[3] || src[1] > kMost) {
    fail("src {} is resized to {}; it must grow, be seen as a whole, and have at most {} channels", src, resized,
         kMost);
  }
}

TensorType normalized_source(const InferContext& ctx) {
  check_resizing(ctx.attrs, ctx.shape(0));
  const TensorType first = resized_source(ctx.attrs, *ctx.inputs[0]);
  const TensorType src =
      ctx.has(kernels::kSecondInput) ? kernels::joined(first, *ctx.inputs[kernels::kSecondInput]) : first;
  for (std::size_t i = kernels::kScaleInput; i <= kernels::kInvStdInput; ++i) {
    if (!ctx.has(i) || *ctx.inputs[i] != TensorType{DType::f32, Shape{src.shape[1]}}) {
      fail("input {} is not f32:{}, one per channel of src; scale, bias, mean and inv_std come together", i,
           src.shape[1]);
    }
  }
  return src;
}

void infer_forward(InferContext& ctx, const TensorType& src, std::size_t bias) {
  const Window window = checked_window(ctx.attrs, src.shape, ctx.shape(1));
  require_same_type(src, *ctx.inputs[1], "src and weights");
  const int64_t channels = ctx.shape(1)[0];
  if (ctx.has(bias) && *ctx.inputs[bias] != TensorType{DType::f32, Shape{channels}}) {
    fail("bias is {}:{}, expected f32:{}", ctx.inputs[bias]->dtype, ctx.shape(bias), channels);
  }
  ctx.outputs.push_back({src.dtype, dst_shape(window, src.shape, ctx.shape(1))});
}

void infer_forward(InferContext& ctx) { infer_forward(ctx, *ctx.inputs[0], 2); }

void infer_fused(InferContext& ctx) {
  if (ctx.attrs.integer("group") != 1) fail("groups are not supported");
  const bool normalizes = ctx.inputs.size() > kernels::kScaleInput;
  infer_forward(ctx, normalizes ? normalized_source(ctx) : *ctx.inputs[0], kernels::kConvBiasInput);
  if (ctx.attrs.integer("with_statistics") != 0) {
    kernels::infer_written_statistics(ctx);
  }
}

void infer_grad_src(InferContext& ctx) {
  const Shape src(ctx.attrs.ints("src_shape"));
  const Window window = checked_window(ctx.attrs, src, ctx.shape(1));
  require_dst(window, src, ctx.shape(1), ctx.shape(0));
  require_same_type(*ctx.inputs[0], *ctx.inputs[1], "diff_dst and weights");
  ctx.outputs.push_back({ctx.inputs[0]->dtype, src});
}

DType weights_type(const Attrs& attrs) {
  const std::string& name = attrs.string("weights_type");
  if (name == to_string(DType::f32)) return DType::f32;
  if (name == to_string(DType::bf16)) return DType::bf16;
  fail("weights_type is '{}', expected f32 or bf16", name);
}

void infer_grad_weights(InferContext& ctx) {
  const Shape weights(ctx.attrs.ints("weights_shape"));
  const TensorType src = ctx.inputs.size() > kernels::kScaleInput ? normalized_source(ctx) : *ctx.inputs[0];
  const Window window = checked_window(ctx.attrs, src.shape, weights);
  require_dst(window, src.shape, weights, ctx.shape(1));
  require_same_type(src, *ctx.inputs[1], "src and diff_dst");
  const DType type = weights_type(ctx.attrs);
  if (type == DType::bf16 && ctx.inputs[0]->dtype == DType::f32) fail("f32 tensors have f32 weights, not bf16");
  ctx.outputs.push_back({type, weights});
  if (ctx.attrs.integer("with_bias") != 0) ctx.outputs.push_back({DType::f32, Shape{weights[0]}});
}

// Weights that are cast down from f32 get their gradient in f32, as the kernel sums it: nothing is rounded on its way
// to the master weights.
DType gradient_type(const Graph& graph, ValueId weights) {
  const Value& value = graph.value(weights);
  if (value.producer < 0) return value.type.dtype;
  const Node& producer = graph.nodes[static_cast<std::size_t>(value.producer)];
  const bool from_f32 = producer.op->name == "Cast" && graph.type(producer.inputs[0]).dtype == DType::f32;
  return from_f32 ? DType::f32 : value.type.dtype;
}

void vjp(VjpContext& ctx) {
  const ValueId src = ctx.in(0), weights = ctx.in(1);
  // First the weights': after that, src is no longer needed.
  if (ctx.wants(1) || ctx.wants(2)) {
    Attrs attrs = ctx.node.attrs;
    attrs.set("weights_shape", ctx.in_shape(1).dims());
    attrs.set("weights_type", std::string(to_string(gradient_type(ctx.b.graph(), weights))));
    attrs.set("with_bias", int64_t{ctx.wants(2)});
    const std::vector<ValueId> grads =
        ctx.b.add_all("ConvGradWeights", {src, ctx.grad_out()}, std::move(attrs), ctx.node.name + "/grad_weights");
    if (ctx.wants(1)) ctx.set_grad(1, grads[0]);
    if (ctx.wants(2)) ctx.set_grad(2, grads[1]);
  }
  if (ctx.wants(0)) {
    Attrs attrs = ctx.node.attrs;
    attrs.set("src_shape", ctx.in_shape(0).dims());
    ctx.set_grad(0, ctx.b.add("ConvGradSrc", {ctx.grad_out(), weights}, std::move(attrs), ctx.node.name + "/grad_src"));
  }
}

// The transposed convolution's own gradient: diff_dst's is the convolution, and the weights' is as Conv's, with the two
// images in each other's place.
void vjp_grad_src(VjpContext& ctx) {
  const ValueId weights = ctx.in(1), grad = ctx.grad_out();
  Attrs attrs = ctx.node.attrs;
  attrs.erase("src_shape");
  if (ctx.wants(0)) ctx.set_grad(0, ctx.b.add("Conv", {grad, weights}, attrs, ctx.node.name + "/grad"));
  if (!ctx.wants(1)) return;
  attrs.set("weights_shape", ctx.in_shape(1).dims());
  attrs.set("weights_type", std::string(to_string(gradient_type(ctx.b.graph(), weights))));
  ctx.set_grad(1, ctx.b.add("ConvGradWeights", {grad, ctx.in(0)}, std::move(attrs), ctx.node.name + "/grad_weights"));
}

// ONNX knows it as ConvTranspose, which counts from the other image: what the windows don't reach is output_padding.
bool grad_src_to_onnx(ToOnnxContext& ctx) {
  if (!to_onnx(ctx)) return false;
  const Shape src(ctx.attrs.ints("src_shape"));
  const auto [h, w] = checked_window(ctx.attrs, src, ctx.graph.shape(ctx.node.inputs[1]));
  const auto beyond = [](const kernels::WindowAxis& axis) {
    return axis.src - ((axis.dst - 1) * axis.stride + axis.extent() - axis.pad_begin - axis.pad_end);
  };
  ctx.op = "ConvTranspose";
  ctx.attrs.erase("src_shape");
  ctx.attrs.set("auto_pad", std::string("NOTSET"));
  const Dims pads{h.pad_begin, w.pad_begin, h.pad_end, w.pad_end};
  ctx.attrs.set("pads", pads == Dims(4, 0) ? Dims{} : pads);
  if (beyond(h) != 0 || beyond(w) != 0) ctx.attrs.set("output_padding", Dims{beyond(h), beyond(w)});
  return true;
}

// ---- signals and volumes

ValueId convolve_signal(const LowerContext& ctx) {
  std::vector<ValueId> inputs = ctx.node.inputs;
  for (const std::size_t i : {0, 1}) {
    const Shape shape = ctx.shape(inputs[i]);
    inputs[i] = ctx.reshape(inputs[i], {shape[0], shape[1], 1, shape[2]});
  }
  const ValueId dst = ctx.add("Conv", std::move(inputs), window_along(ctx.node.attrs, 1, kernels::kNoAxis, 0));
  const Shape shape = ctx.shape(dst);
  return ctx.reshape(dst, {shape[0], shape[1], shape[3]});
}

// The KD slices that an output slice sees are the channels of one image: a 2-D Conv makes the output slices.
ValueId convolve_volume(const LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const Shape src = ctx.shape(ctx.node.inputs[0]), weights = ctx.shape(ctx.node.inputs[1]);
  if (src.elements() == 0) fail("src is {}, it has no elements", src);
  const Attrs along_depth = window_along(attrs, 3, 0, kernels::kNoAxis);
  const kernels::WindowAxis depth = kernels::window_of(along_depth, {1, 1, src[2], 1}, {weights[2], 1}).h;
  constexpr int64_t kDeepest = 256;
  if (depth.kernel > kDeepest) fail("a kernel of {} slices is too deep, expected {} at most", depth.kernel, kDeepest);

  const int64_t n = src[0], c = src[1], pixels = src[3] * src[4];
  ValueId padded = ctx.node.inputs[0];
  const int64_t end = depth.reach_end();
  if (depth.pad_begin != 0 || end != 0) {
    padded = ctx.add("Pad", {padded}, {{"pads", Dims{0, 0, depth.pad_begin, 0, 0, 0, 0, end, 0, 0}}});
  }
  std::vector<ValueId> slices;
  for (int64_t k = 0; k < depth.kernel; ++k) {
    const int64_t start = k * depth.dilation;
    const ValueId slice = ctx.add("Slice", {padded},
                                  {{"starts", Dims{start}},
                                   {"ends", Dims{start + (depth.dst - 1) * depth.stride + 1}},
                                   {"axes", Dims{2}},
                                   {"steps", Dims{depth.stride}}});
    slices.push_back(ctx.reshape(slice, {n * c, 1, depth.dst * pixels}));
  }
  const ValueId joined = slices.size() == 1 ? slices[0] : ctx.add("Concat", slices, {{"axis", int64_t{1}}});
  const ValueId by_depth = ctx.add("Transpose", {ctx.reshape(joined, {n, c, depth.kernel, depth.dst, pixels})},
                                   {{"perm", Dims{0, 3, 1, 2, 4}}});
  std::vector<ValueId> inputs = ctx.node.inputs;
  inputs[0] = ctx.reshape(by_depth, {n * depth.dst, c * depth.kernel, src[3], src[4]});
  inputs[1] = ctx.reshape(inputs[1], {weights[0], weights[1] * depth.kernel, weights[3], weights[4]});
  const ValueId images = ctx.add("Conv", std::move(inputs), window_along(attrs, 3, 1, 2));
  const Shape made = ctx.shape(images);
  const ValueId by_channel = ctx.add("Transpose", {ctx.reshape(images, {n, depth.dst, made[1], made[2] * made[3]})},
                                     {{"perm", Dims{0, 2, 1, 3}}});
  return ctx.reshape(by_channel, {n, made[1], depth.dst, made[2], made[3]});
}

std::vector<ValueId> lower_other_ranks(LowerContext& ctx) {
  const int rank = ctx.shape(ctx.node.inputs[0]).rank();
  if (ctx.shape(ctx.node.inputs[1]).rank() != rank) return {};
  if (rank == 3) return {convolve_signal(ctx)};
  if (rank == 5) return {convolve_volume(ctx)};
  return {};
}

// ---- references

// Calls visit(src index, weights index, dst index) for every product of the convolution.
template <typename Visit>
void for_each_product(const Attrs& attrs, const Shape& src, const Shape& weights, const Visit& visit) {
  const Window window = checked_window(attrs, src, weights);
  const kernels::PaddingMode border = padding_mode_of(attrs);
  const int64_t group = attrs.integer("group");
  const int64_t images = src[0], src_channels = src[1], dst_channels = weights[0];
  const int64_t ocs = dst_channels / group, ics = weights[1];
  const auto& [h, w] = window;
  const auto at = [](int64_t a, int64_t b, int64_t c, int64_t d, int64_t nb, int64_t nc, int64_t nd) {
    return static_cast<std::size_t>(((a * nb + b) * nc + c) * nd + d);
  };
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t oc = 0; oc < dst_channels; ++oc) {
      for (int64_t oh = 0; oh < h.dst; ++oh) {
        for (int64_t ow = 0; ow < w.dst; ++ow) {
          for (int64_t kh = 0; kh < h.kernel; ++kh) {
            for (int64_t kw = 0; kw < w.kernel; ++kw) {
              const int64_t ih = kernels::border_source(border, h.position(oh, kh), h.src);
              const int64_t iw = kernels::border_source(border, w.position(ow, kw), w.src);
              if (ih == kernels::kOutside || iw == kernels::kOutside) continue;
              for (int64_t ic = 0; ic < ics; ++ic) {
                visit(at(n, oc / ocs * ics + ic, ih, iw, src_channels, h.src, w.src),
                      at(oc, ic, kh, kw, ics, h.kernel, w.kernel), at(n, oc, oh, ow, dst_channels, h.dst, w.dst));
              }
            }
          }
        }
      }
    }
  }
}

void reference_forward(ReferenceContext& ctx, const HostTensor& src, std::size_t bias_input) {
  const HostTensor& weights = *ctx.inputs[1];
  auto& dst = ctx.outputs[0];
  if (ctx.inputs.size() > bias_input && ctx.inputs[bias_input] != nullptr) {
    const auto plane = static_cast<std::size_t>(dst.shape[2] * dst.shape[3]);
    const std::vector<double>& bias = ctx.inputs[bias_input]->values;
    for (std::size_t i = 0; i < dst.values.size(); ++i) dst.values[i] = bias[i / plane % bias.size()];
  }
  for_each_product(ctx.attrs, src.shape, weights.shape, [&](std::size_t s, std::size_t w, std::size_t d) {
    dst.values[d] += src.values[s] * weights.values[w];
  });
}

void reference_forward(ReferenceContext& ctx) { reference_forward(ctx, *ctx.inputs[0], 2); }

void reference_grad_src(ReferenceContext& ctx) {
  const HostTensor &diff_dst = *ctx.inputs[0], &weights = *ctx.inputs[1];
  auto& diff_src = ctx.outputs[0];
  for_each_product(ctx.attrs, diff_src.shape, weights.shape, [&](std::size_t s, std::size_t w, std::size_t d) {
    diff_src.values[s] += diff_dst.values[d] * weights.values[w];
  });
}

// The source as BatchNormalization makes it.
HostTensor normalized_source(const ReferenceContext& ctx) {
  std::vector<HostTensor> resized;
  if (kernels::resizes(ctx.attrs)) resized = evaluate_reference(*op_table().find("Resize"), ctx.attrs, {ctx.inputs[0]});
  std::vector<const HostTensor*> inputs{resized.empty() ? ctx.inputs[0] : resized.data()};
  const bool has_second = ctx.inputs.size() > kernels::kSecondInput && ctx.inputs[kernels::kSecondInput] != nullptr;
  if (has_second) inputs.push_back(ctx.inputs[kernels::kSecondInput]);
  inputs.insert(inputs.end(), ctx.inputs.begin() + kernels::kScaleInput, ctx.inputs.begin() + kernels::kSecondInput);
  const OpDef& op = *op_table().find(has_second ? "ConcatBatchNormalizationApply" : "BatchNormalizationApply");
  Attrs attrs;
  attrs.set("alpha", ctx.attrs.real("alpha"));
  return std::move(evaluate_reference(op, attrs, inputs)[0]);
}

void reference_fused(ReferenceContext& ctx) {
  const HostTensor made = ctx.inputs.size() > kernels::kScaleInput ? normalized_source(ctx) : HostTensor();
  reference_forward(ctx, ctx.inputs.size() > kernels::kScaleInput ? made : *ctx.inputs[0], kernels::kConvBiasInput);
  if (ctx.outputs.size() == 1) return;
  kernels::reference_written_statistics(ctx);
}

void reference_grad_weights(ReferenceContext& ctx) {
  const HostTensor made = ctx.inputs.size() > kernels::kScaleInput ? normalized_source(ctx) : HostTensor();
  const HostTensor& src = ctx.inputs.size() > kernels::kScaleInput ? made : *ctx.inputs[0];
  const HostTensor& diff_dst = *ctx.inputs[1];
  auto& diff_weights = ctx.outputs[0];
  for_each_product(ctx.attrs, src.shape, diff_weights.shape, [&](std::size_t s, std::size_t w, std::size_t d) {
    diff_weights.values[w] += src.values[s] * diff_dst.values[d];
  });
  if (ctx.outputs.size() > 1) {
    std::vector<double>& diff_bias = ctx.outputs[1].values;
    const auto plane = static_cast<std::size_t>(diff_dst.shape[2] * diff_dst.shape[3]);
    for (std::size_t i = 0; i < diff_dst.values.size(); ++i) {
      diff_bias[i / plane % diff_bias.size()] += diff_dst.values[i];
    }
  }
}

// ---- kernels

TensorType normalized_source(const PlanContext& ctx) {
  if (!ctx.has(kernels::kScaleInput)) return ctx.in(0);
  const TensorType first = resized_source(ctx.node.attrs, ctx.in(0));
  return ctx.has(kernels::kSecondInput) ? kernels::joined(first, ctx.in(kernels::kSecondInput)) : first;
}
std::optional<kernels::SourceNormalization> normalization_of(const PlanContext& ctx) {
  if (!ctx.has(kernels::kScaleInput)) return std::nullopt;
  kernels::SourceNormalization result{.first_channels = ctx.in(0).shape[1],
                                      .alpha = static_cast<float>(ctx.node.attrs.real("alpha"))};
  if (kernels::resizes(ctx.node.attrs)) result.resized = {ctx.in(0).shape, ctx.node.attrs};
  return result;
}

KernelPlan plan_forward(PlanContext& ctx) {
  kernels::require_float(ctx.in(0));
  Convolution conv = convolution_of(ctx.node.attrs, Direction::forward, ctx.in(0), ctx.in(1), ctx.out());
  conv.has_bias = ctx.has(2);
  KernelPlan plan = kernels::plan_convolution(ctx, conv);
  plan.src.resize(ctx.node.inputs.size());  // a bias that is not given
  return plan;
}

KernelPlan plan_fused(PlanContext& ctx) {
  Convolution conv = convolution_of(ctx.node.attrs, Direction::forward, normalized_source(ctx), ctx.in(1), ctx.out());
  conv.has_bias = ctx.has(kernels::kConvBiasInput);
  conv.normalized = normalization_of(ctx);
  if (ctx.node.outputs.size() > 1) conv.statistics = ctx.node.attrs.real("epsilon");
  return kernels::plan_convolution(ctx, conv);
}

KernelPlan plan_grad_src(PlanContext& ctx) {
  kernels::require_float(ctx.in(0));
  return kernels::plan_convolution(
      ctx, convolution_of(ctx.node.attrs, Direction::grad_src, ctx.out(), ctx.in(1), ctx.in(0)));
}

KernelPlan plan_grad_weights(PlanContext& ctx) {
  Convolution conv =
      convolution_of(ctx.node.attrs, Direction::grad_weights, normalized_source(ctx), ctx.out(0), ctx.in(1));
  conv.has_bias = ctx.node.outputs.size() > 1;
  conv.normalized = normalization_of(ctx);
  return kernels::plan_convolution(ctx, conv);
}

// Of a convolution whose source may be normalised, and resized before.
std::vector<AttrSpec> attrs_with_source(std::vector<AttrSpec> more) {
  more.emplace_back("alpha", 1.0);
  return kernels::convolution_attrs(kernels::resize_attrs("half_pixel", "round_prefer_floor", more));
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Conv",
       .min_inputs = 2,
       .max_inputs = 3,
       .attrs = kernels::convolution_attrs({}),
       .lower = lower_other_ranks,
       .to_onnx = to_onnx,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b11},
      {.name = "FusedConv",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 8,
       .attrs = attrs_with_source({{"with_statistics", int64_t{0}}, {"epsilon", 1e-5}}),
       .infer = infer_fused,
       .plan = plan_fused,
       .reference = reference_fused,
       .bf16_inputs = 0b1000011},
      {.name = "ConvGradSrc",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = kernels::convolution_attrs({AttrSpec::required("src_shape", AttrKind::ints)}),
       .to_onnx = grad_src_to_onnx,
       .infer = infer_grad_src,
       .vjp = vjp_grad_src,
       .plan = plan_grad_src,
       .reference = reference_grad_src,
       .bf16_inputs = 0b11},
      {.name = "ConvGradWeights",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 7,
       .attrs = attrs_with_source({AttrSpec::required("weights_shape", AttrKind::ints),
                                   {"weights_type", std::string("f32")},
                                   {"with_bias", int64_t{0}}}),
       .infer = infer_grad_weights,
       .plan = plan_grad_weights,
       .reference = reference_grad_weights,
       .bf16_inputs = 0b1000011},
  };
  return ops;
}

}  // namespace hourglass::ops::conv
