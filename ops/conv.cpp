// Conv: a cross-correlation.                                                                     ONNX Conv-11 (from 1)
//   dst[n,oc,oh,ow] = bias[oc] + sum over ic,kh,kw of src[n,ic,ih,iw] * weights[oc,ic,kh,kw],
//   ih = oh * stride - pad_begin + kh * dilation (zero outside the source), ic within oc's group
//   src [N,C,H,W], weights [OC,C/group,KH,KW], bias [OC] (optional, always f32), dst [N,OC,OH,OW]
//   pad_mode (not ONNX's) says what stands outside the source instead of zero, as Pad's mode does: ops/fused/fuse.cpp
//   joins a Pad and its Conv so. band_rows sets how many rows of dst are computed at a time; 0 leaves it to the kernel.
// FusedConv: Conv with what stands before and behind it, as ops/fused/fuse.h joins them: src, weights and, where it
//   normalises, scale, bias, mean, inv_std (each [C]), src2 (optional) and the Conv's own bias (optional). The Conv is
//   then of what BatchNormalizationApply (or with src2 ConcatBatchNormalizationApply) with alpha makes of src; with
//   Resize's attributes, of src resized. Outputs: dst and, with_statistics, what BatchNormalizationStatistics says of
//   it.
// ConvGradSrc:     diff_src is the transposed convolution of diff_dst (see also ops/conv_transpose.cpp)
// ConvGradWeights: diff_weights[oc,ic,kh,kw] = sum over n,oh,ow of src * diff_dst; diff_bias[oc] = sum of diff_dst
//   With scale, bias, mean, inv_std and alpha, src is made of the node's as FusedConv does it.
//
// Kernels: ops/convolution/choose.h lists them.
#include <algorithm>

#include "graph/error.h"
#include "ops/convolution/choose.h"
#include "ops/convolution/source.h"
#include "ops/fused/statistics_outputs.h"
#include "ops/geometry/resize_taps.h"
#include "ops/table.h"

namespace hourglass::ops {
namespace {

using detail::border_of;
using detail::checked_window;
using detail::Convolution;
using detail::convolution_of;
using detail::Direction;
using detail::Window;

// ONNX knows zero padding only.
bool to_onnx(ToOnnxContext& ctx) {
  ctx.attrs.erase("band_rows");
  return border_of(ctx.node.attrs) == detail::Border::constant;
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
  return detail::resizes(attrs) ? TensorType{src.dtype, detail::resized_shape(attrs, src.shape)} : src;
}

void check_resizing(const Attrs& attrs, const Shape& src) {
  if (!detail::resizes(attrs)) return;
  const Shape resized = detail::resized_shape(attrs, src);
  constexpr int64_t kMost = detail::SeparableMap::kMostChannels;
  if (attrs.real("alpha") != 1) fail("a source that is resized has no activation, alpha is {}", attrs.real("alpha"));
  if (detail::crops(attrs) || resized[2] < src[2] || resized[3] < src[3] || src[1] > kMost) {
    fail("src {} is resized to {}; it must grow, be seen as a whole, and have at most {} channels", src, resized,
         kMost);
  }
}

TensorType normalized_source(const InferContext& ctx) {
  check_resizing(ctx.attrs, ctx.shape(0));
  const TensorType first = resized_source(ctx.attrs, *ctx.inputs[0]);
  const TensorType src =
      ctx.has(detail::kSecondInput) ? detail::joined(first, *ctx.inputs[detail::kSecondInput]) : first;
  for (std::size_t i = detail::kScaleInput; i <= detail::kInvStdInput; ++i) {
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
  const bool normalizes = ctx.inputs.size() > detail::kScaleInput;
  infer_forward(ctx, normalizes ? normalized_source(ctx) : *ctx.inputs[0], detail::kConvBiasInput);
  if (ctx.attrs.integer("with_statistics") != 0) {
    detail::infer_written_statistics(ctx);
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
  const TensorType src = ctx.inputs.size() > detail::kScaleInput ? normalized_source(ctx) : *ctx.inputs[0];
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
  const auto beyond = [](const detail::WindowAxis& axis) {
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

// ---- references

// Calls visit(src index, weights index, dst index) for every product of the convolution.
template <typename Visit>
void for_each_product(const Attrs& attrs, const Shape& src, const Shape& weights, const Visit& visit) {
  const Window window = checked_window(attrs, src, weights);
  const detail::Border border = border_of(attrs);
  const int64_t group = attrs.integer("group");
  const int64_t ocs = weights[0] / group, ics = weights[1];
  const auto& [h, w] = window;
  const auto at = [](int64_t a, int64_t b, int64_t c, int64_t d, int64_t nb, int64_t nc, int64_t nd) {
    return static_cast<std::size_t>(((a * nb + b) * nc + c) * nd + d);
  };
  for (int64_t n = 0; n < src[0]; ++n) {
    for (int64_t oc = 0; oc < weights[0]; ++oc) {
      for (int64_t oh = 0; oh < h.dst; ++oh) {
        for (int64_t ow = 0; ow < w.dst; ++ow) {
          for (int64_t kh = 0; kh < h.kernel; ++kh) {
            for (int64_t kw = 0; kw < w.kernel; ++kw) {
              const int64_t ih = detail::border_source(border, h.position(oh, kh), h.src);
              const int64_t iw = detail::border_source(border, w.position(ow, kw), w.src);
              if (ih == detail::kOutside || iw == detail::kOutside) continue;
              for (int64_t ic = 0; ic < ics; ++ic) {
                visit(at(n, oc / ocs * ics + ic, ih, iw, src[1], h.src, w.src),
                      at(oc, ic, kh, kw, ics, h.kernel, w.kernel), at(n, oc, oh, ow, weights[0], h.dst, w.dst));
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
  if (detail::resizes(ctx.attrs)) resized = evaluate_reference(*op_table().find("Resize"), ctx.attrs, {ctx.inputs[0]});
  std::vector<const HostTensor*> inputs{resized.empty() ? ctx.inputs[0] : resized.data()};
  const bool has_second = ctx.inputs.size() > detail::kSecondInput && ctx.inputs[detail::kSecondInput] != nullptr;
  if (has_second) inputs.push_back(ctx.inputs[detail::kSecondInput]);
  inputs.insert(inputs.end(), ctx.inputs.begin() + detail::kScaleInput, ctx.inputs.begin() + detail::kSecondInput);
  const OpDef& op = *op_table().find(has_second ? "ConcatBatchNormalizationApply" : "BatchNormalizationApply");
  Attrs attrs;
  attrs.set("alpha", ctx.attrs.real("alpha"));
  return std::move(evaluate_reference(op, attrs, inputs)[0]);
}

void reference_fused(ReferenceContext& ctx) {
  const HostTensor made = ctx.inputs.size() > detail::kScaleInput ? normalized_source(ctx) : HostTensor();
  reference_forward(ctx, ctx.inputs.size() > detail::kScaleInput ? made : *ctx.inputs[0], detail::kConvBiasInput);
  if (ctx.outputs.size() == 1) return;
  detail::reference_written_statistics(ctx);
}

void reference_grad_weights(ReferenceContext& ctx) {
  const HostTensor made = ctx.inputs.size() > detail::kScaleInput ? normalized_source(ctx) : HostTensor();
  const HostTensor& src = ctx.inputs.size() > detail::kScaleInput ? made : *ctx.inputs[0];
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
  if (!ctx.has(detail::kScaleInput)) return ctx.in(0);
  const TensorType first = resized_source(ctx.node.attrs, ctx.in(0));
  return ctx.has(detail::kSecondInput) ? detail::joined(first, ctx.in(detail::kSecondInput)) : first;
}
std::optional<detail::SourceNormalization> normalization_of(const PlanContext& ctx) {
  if (!ctx.has(detail::kScaleInput)) return std::nullopt;
  detail::SourceNormalization result{.first_channels = ctx.in(0).shape[1],
                                     .alpha = static_cast<float>(ctx.node.attrs.real("alpha"))};
  if (detail::resizes(ctx.node.attrs)) result.resized = {ctx.in(0).shape, ctx.node.attrs};
  return result;
}

KernelPlan plan_forward(PlanContext& ctx) {
  Convolution conv = convolution_of(ctx.node.attrs, Direction::forward, ctx.in(0), ctx.in(1), ctx.out());
  conv.has_bias = ctx.has(2);
  KernelPlan plan = detail::plan_convolution(ctx, conv);
  plan.src.resize(ctx.node.inputs.size());  // a bias that is not given
  return plan;
}

KernelPlan plan_fused(PlanContext& ctx) {
  Convolution conv = convolution_of(ctx.node.attrs, Direction::forward, normalized_source(ctx), ctx.in(1), ctx.out());
  conv.has_bias = ctx.has(detail::kConvBiasInput);
  conv.normalized = normalization_of(ctx);
  if (ctx.node.outputs.size() > 1) conv.statistics = ctx.node.attrs.real("epsilon");
  return detail::plan_convolution(ctx, conv);
}

KernelPlan plan_grad_src(PlanContext& ctx) {
  return detail::plan_convolution(ctx,
                                  convolution_of(ctx.node.attrs, Direction::grad_src, ctx.out(), ctx.in(1), ctx.in(0)));
}

KernelPlan plan_grad_weights(PlanContext& ctx) {
  Convolution conv =
      convolution_of(ctx.node.attrs, Direction::grad_weights, normalized_source(ctx), ctx.out(0), ctx.in(1));
  conv.has_bias = ctx.node.outputs.size() > 1;
  conv.normalized = normalization_of(ctx);
  return detail::plan_convolution(ctx, conv);
}

// Of a convolution whose source may be normalised, and resized before.
std::vector<AttrSpec> attrs_with_source(std::vector<AttrSpec> more) {
  more.emplace_back("alpha", 1.0);
  return detail::convolution_attrs(detail::resize_attrs("half_pixel", "round_prefer_floor", more));
}

}  // namespace

std::span<const OpDef> conv_ops() {
  static const OpDef ops[] = {
      {.name = "Conv",
       .min_inputs = 2,
       .max_inputs = 3,
       .attrs = detail::convolution_attrs({}),
       .to_onnx = to_onnx,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b11,
       .cases =
           {
               "1x3x9x11 8x3x3x3 8 | pads=[1,1,1,1]",
               "1x16x7x6 16x16x3x3",
               "2x17x5x3 33x17x3x3 33 | pads=[1,1,1,1]",
               "1x17x8x5 4x17x1x1 4",
               "1x132x3x4 16x132x1x1 - | kernel_shape=[1,1]",
               "1x8x9x8 16x8x5x5 16 | pads=[2,2,2,2] strides=[2,2]",
               "1x4x9x7 5x4x3x2 5 | pads=[0,1,2,0] strides=[2,1]",
               "1x8x11x10 8x8x3x3 | pads=[2,3,2,3] dilations=[2,3]",
               "1x1x24x16 4x1x8x8 4 | strides=[8,8]",
               "1x8x9x8 12x2x3x3 12 | group=4 pads=[1,1,1,1]",
               "1x34x6x5 34x17x3x3 | group=2 strides=[2,2] pads=[1,1,1,1]",
               "2x17x7x9 17x1x3x3 17 | group=17 pads=[1,1,1,1]",
               "1x16x8x8 32x1x4x4 | group=16 strides=[2,2] pads=[1,1,1,1]",
               "1x5x6x7 6x5x3x3 6 | auto_pad=SAME_UPPER strides=[2,2]",
               "1x5x6x7 6x5x4x4 6 | auto_pad=SAME_LOWER",
               "1x5x6x7 6x5x3x3 | auto_pad=VALID strides=[3,2]",
               "1x3x4x5 2x3x1x1 2 | pads=[1,2,1,0]",
               "1x2x3x3 2x2x7x7 2 | pads=[3,3,3,3]",
               "2x3x9x11 8x3x3x3 8 | pads=[1,1,1,1] pad_mode=reflect",
               "1x8x19x18 5x8x3x3 | pads=[1,1,1,1] pad_mode=reflect strides=[2,2]",
               "1x6x7x9 4x6x5x5 | pads=[2,2,2,2] pad_mode=edge",
               "1x5x6x7 3x5x3x2 3 | pads=[0,1,2,0] pad_mode=wrap",
               "1x32x30x31 16x32x3x3 16 | pads=[1,1,1,1] pad_mode=reflect",
               "1x17x35x29 33x17x3x3 | pads=[1,1,1,1] band_rows=8",
               "2x3x19x11 8x3x3x3 8 | pads=[1,1,1,1] pad_mode=reflect band_rows=4",
               "1x17x30x9 18x17x3x3 | pads=[1,1,1,1] pad_mode=reflect strides=[2,2] band_rows=4",
               // What Winograd's algorithm divides among tiles, blocks and products.
               "1x48x52x50 48x48x3x3 48 | pads=[1,1,1,1] pad_mode=reflect",
               "2x5x13x9 7x5x3x3 7 | pads=[2,1,0,2] pad_mode=edge",
               "1x36x19x70 132x36x3x3 | pads=[1,1,1,1]",
               // What a thread's rows are cut by: images; and padding wider than the row.
               "3x17x9x37 33x17x3x3 33 | pads=[1,1,1,1] strides=[2,2] pad_mode=reflect",
               "1x2x1x1 2x2x2x2 | pads=[5,5,0,0] strides=[7,7]",
           }},
      {.name = "FusedConv",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 8,
       .attrs = attrs_with_source({{"with_statistics", int64_t{0}}, {"epsilon", 1e-5}}),
       .infer = infer_fused,
       .plan = plan_fused,
       .reference = reference_fused,
       .bf16_inputs = 0b1000011,
       .cases =
           {
               "1x3x9x11 8x3x3x3 3 3 3 3@0.5..2 - 8 | pads=[1,1,1,1] alpha=0.2",
               "2x48x13x9 48x48x3x3 48 48 48 48@0.5..2 | pads=[1,1,1,1] pad_mode=edge",
               // Strips of tiles, cut by rows of tiles and by blocks; and two sources.
               "1x128x6x61 24x132x3x3 132 132 132 132@0.5..2 1x4x6x61 | pads=[1,1,1,1] pad_mode=reflect alpha=0.2",
               "2x5x19x11 17x20x3x3 20 20 20 20@0.5..2 2x15x19x11 17 | alpha=0",
               "1x36x9x70 32x36x1x1 36 36 36 36@0.5..2 | alpha=0.2",
               "1x8x24x20 8x8x1x1 8 8 8 8@0.5..2 - 8 | alpha=0.2",
               "2x16x40x51 3x16x1x1 16 16 16 16@0.5..2 - 3 | alpha=0.2",
               "2x16x19x21 5x16x1x1 16 16 16 16@0.5..2 | alpha=0.2 with_statistics=1",
               "1x8x19x21 16x8x1x1 8 8 8 8@0.5..2 | alpha=0.2",
               "1x16x19x21 4x16x1x1 16 16 16 16@0.5..2 | alpha=0.2 with_statistics=1",
               "1x5x9x7 16x16x1x1 16 16 16 16@0.5..2 1x11x9x7 | alpha=0.2",
               "2x48x9x7 20x52x1x1 52 52 52 52@0.5..2 2x4x9x7 20 | alpha=-0.5",
               "1x20x23x70 24x20x3x3 20 20 20 20@0.5..2 | strides=[2,2] pads=[1,2,1,2] pad_mode=wrap alpha=0.2",
               "1x12x9x8 6x12x5x5 12 12 12 12@0.5..2 - 6 | pads=[2,2,2,2] dilations=[1,2]",
               "1x33x9x7 20x33x1x1 33 33 33 33@0.5..2 | with_statistics=1",
               "2x10x40x21 18x17x3x3 17 17 17 17@0.5..2 2x7x40x21 | "
               "band_rows=8 pads=[1,1,1,1] pad_mode=reflect alpha=0.2 with_statistics=1",
               // Statistics of what is written: by tiles, rows, pixels and bands, and behind a kernel that can't.
               "2x48x33x30 48x48x3x3 | pads=[1,1,1,1] with_statistics=1",
               "1x32x70x33 20x36x3x3 36 36 36 36@0.5..2 1x4x70x33 20 | pads=[1,1,1,1] alpha=0.2 with_statistics=1",
               "2x36x19x70 32x36x1x1 36 36 36 36@0.5..2 | alpha=0.2 with_statistics=1 epsilon=0.1",
               "2x3x39x41 8x3x3x3 | strides=[2,2] pads=[1,1,1,1] pad_mode=reflect with_statistics=1",
               "1x17x20x21 9x17x1x1 | with_statistics=1",
               "1x8x24x20 8x8x1x1 8 8 8 8@0.5..2 - 8 | alpha=0.2 with_statistics=1",
               // Resized before it is normalised, alone or as the first of two.
               "1x16x10x17 8x16x3x3 16 16 16 16@0.5..2 | pads=[1,1,1,1] pad_mode=reflect mode=linear scales=[1,1,2,2] "
               "with_statistics=1",
               "2x48x7x9 48x48x3x3 48 48 48 48@0.5..2 - 48 | pads=[1,1,1,1] scales=[1,1,2,2]",
               "2x16x21x20 24x16x3x3 16 16 16 16@0.5..2 | pads=[1,1,1,1] mode=linear scales=[1,1,2,2] "
               "with_statistics=1",
               "2x32x9x40 16x32x3x3 32 32 32 32@0.5..2 | pads=[1,1,1,1] pad_mode=edge mode=linear scales=[1,1,2,2] "
               "with_statistics=1",
               "1x5x37x9 7x5x3x3 5 5 5 5@0.5..2 | pads=[1,1,1,1] pad_mode=wrap scales=[1,1,2,2] with_statistics=1",
               "1x16x12x12 8x16x5x5 16 16 16 16@0.5..2 | pads=[2,2,2,2] pad_mode=reflect mode=linear scales=[1,1,2,2]",
               // By blurs: strips and their ends, several parts, panels that differ, both borders of either kind.
               "1x16x34x150 80x20x3x3 20 20 20 20@0.5..2 1x4x68x300 80 | pads=[1,1,1,1] pad_mode=reflect mode=linear "
               "scales=[1,1,2,2] with_statistics=1",
               "1x48x9x85 80x52x3x3 52 52 52 52@0.5..2 1x4x18x170 80 | pads=[1,1,1,1] pad_mode=reflect mode=linear "
               "scales=[1,1,2,2] with_statistics=1",
               "3x6x9x11 5x8x3x3 8 8 8 8@0.5..2 3x2x18x22 | pads=[1,1,1,1] pad_mode=wrap mode=linear scales=[1,1,2,2]",
               "1x2x8x8 70x2x3x3 2 2 2 2@0.5..2 | pads=[1,1,1,1] mode=linear scales=[1,1,2,2] with_statistics=1",
               "1x40x11x16 40x40x3x3 40 40 40 40@0.5..2 | pads=[1,1,1,1] pad_mode=reflect mode=linear scales=[1,1,2,2] "
               "coordinate_transformation_mode=align_corners",
               "1x128x3x31 24x132x3x3 132 132 132 132@0.5..2 1x4x6x61 | pads=[1,1,1,1] pad_mode=reflect mode=linear "
               "sizes=[1,128,6,61]",
               "1x3x9x7 5x5x1x1 5 5 5 5@0.5..2 1x2x20x15 | mode=cubic sizes=[1,3,20,15]",
               "2x10x20x11 18x17x3x3 17 17 17 17@0.5..2 2x7x40x21 | mode=linear sizes=[2,10,40,21] "
               "coordinate_transformation_mode=align_corners band_rows=8 pads=[1,1,1,1] pad_mode=reflect",
           }},
      {.name = "ConvGradSrc",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = detail::convolution_attrs({AttrSpec::required("src_shape", AttrKind::ints)}),
       .to_onnx = grad_src_to_onnx,
       .infer = infer_grad_src,
       .vjp = vjp_grad_src,
       .plan = plan_grad_src,
       .reference = reference_grad_src,
       .bf16_inputs = 0b11,
       .cases =
           {
               "1x8x9x11 8x3x3x3 | pads=[1,1,1,1] src_shape=[1,3,9,11]",
               "2x33x8x5 33x17x3x3 | pads=[1,1,1,1] src_shape=[2,17,8,5]",
               "1x4x8x5 4x17x1x1 | src_shape=[1,17,8,5]",
               "1x16x7x6 16x8x5x5 | pads=[2,2,2,2] strides=[2,2] src_shape=[1,8,13,12]",
               "1x5x5x7 5x4x3x2 | pads=[0,1,2,0] strides=[2,1] src_shape=[1,4,9,7]",
               "1x8x11x10 8x8x3x3 | pads=[2,3,2,3] dilations=[2,3] src_shape=[1,8,11,10]",
               "1x4x3x2 4x1x8x8 | strides=[8,8] src_shape=[1,1,24,17]",
               "1x12x9x8 12x2x3x3 | group=4 pads=[1,1,1,1] src_shape=[1,8,9,8]",
               "1x34x3x3 34x17x3x3 | group=2 strides=[2,2] pads=[1,1,1,1] src_shape=[1,34,6,5]",
               "2x17x7x9 17x1x3x3 | group=17 pads=[1,1,1,1] src_shape=[2,17,7,9]",
               "1x32x4x4 32x1x4x4 | group=16 strides=[2,2] pads=[1,1,1,1] src_shape=[1,16,8,8]",
               "1x6x3x4 6x5x3x3 | auto_pad=SAME_UPPER strides=[2,2] src_shape=[1,5,6,7]",
               "1x2x6x7 2x3x1x1 | pads=[1,2,1,0] src_shape=[1,3,4,5]",
               "2x8x9x11 8x3x3x3 | pads=[1,1,1,1] pad_mode=reflect src_shape=[2,3,9,11]",
               "1x5x10x9 5x8x3x3 | pads=[1,1,1,1] pad_mode=reflect strides=[2,2] src_shape=[1,8,19,18]",
               "1x4x7x9 4x6x5x5 | pads=[2,2,2,2] pad_mode=edge src_shape=[1,6,7,9]",
               "1x3x6x7 3x5x3x2 | pads=[0,1,2,0] pad_mode=wrap src_shape=[1,5,6,7]",
               "1x16x30x31 16x32x3x3 | pads=[1,1,1,1] pad_mode=reflect src_shape=[1,32,30,31]",
               "1x33x35x29 33x17x3x3 | pads=[1,1,1,1] src_shape=[1,17,35,29] band_rows=8",
               "2x8x19x11 8x3x3x3 | pads=[1,1,1,1] pad_mode=reflect src_shape=[2,3,19,11] band_rows=4",
               "1x18x15x5 18x17x3x3 | pads=[1,1,1,1] pad_mode=reflect strides=[2,2] src_shape=[1,17,30,9] band_rows=4",
               "1x48x52x50 48x48x3x3 | pads=[1,1,1,1] pad_mode=reflect src_shape=[1,48,52,50]",
               "2x7x13x10 7x5x3x3 | pads=[2,1,0,2] pad_mode=edge src_shape=[2,5,13,9]",
               "1x132x19x70 132x36x3x3 | pads=[1,1,1,1] src_shape=[1,36,19,70]",
               "1x16x6x7 16x17x3x3 | pads=[2,2,2,2] pad_mode=wrap src_shape=[1,17,4,5]",
               // Large enough for a border of its own.
               "1x4x131x126 4x20x3x3 | pads=[1,1,1,1] pad_mode=reflect src_shape=[1,20,131,126]",
               "2x5x64x72 5x18x3x3 | pads=[1,1,1,1] pad_mode=reflect strides=[2,2] src_shape=[2,18,128,144]",
               "1x4x130x127 4x36x3x4 | pads=[1,3,1,0] pad_mode=edge src_shape=[1,36,130,127]",
               "1x3x66x129 3x17x3x3 | pads=[1,2,3,2] pad_mode=wrap strides=[2,1] dilations=[1,2] "
               "src_shape=[1,17,130,129]",
               "1x10x66x66 10x20x1x1 | pads=[1,1,2,2] pad_mode=edge strides=[2,2] src_shape=[1,20,128,128]",
               "1x8x27x22 8x16x9x3 | pads=[9,1,8,2] pad_mode=edge src_shape=[1,16,18,21]",
               // By AMX: several phases of rows and columns, rows beyond all windows, more border than image.
               "2x33x10x8 33x16x5x4 | pads=[2,1,3,2] pad_mode=reflect strides=[3,2] src_shape=[2,16,27,15]",
               "1x6x1x2 6x64x3x3 | pads=[1,1,1,1] pad_mode=wrap strides=[4,1] src_shape=[1,64,2,2]",
               "1x40x5x33 40x32x2x3 | pads=[0,1,0,1] strides=[3,3] src_shape=[1,32,14,97]",
           }},
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
       .bf16_inputs = 0b1000011,
       .cases =
           {
               "1x3x9x11 1x8x9x11 | pads=[1,1,1,1] weights_shape=[8,3,3,3] with_bias=1",
               "2x17x8x5 2x33x8x5 | pads=[1,1,1,1] weights_shape=[33,17,3,3] with_bias=1",
               // Pointwise: more channels on either side, few and many of them, odd numbers of pixels.
               "1x32x13x11 1x4x13x11 | weights_shape=[4,32,1,1]",
               "2x3x9x7 2x20x9x7 | weights_shape=[20,3,1,1]",
               "1x132x17x33 1x128x17x33 | weights_shape=[128,132,1,1]",
               "1x64x3x5 1x64x3x5 | weights_shape=[64,64,1,1]",
               "1x8x1x1 1x8x1x1 | weights_shape=[8,8,1,1]",
               "1x16x7x6 1x16x5x4 | weights_shape=[16,16,3,3]",
               "1x17x8x5 1x4x8x5 | weights_shape=[4,17,1,1] with_bias=1",
               "1x8x13x12 1x16x7x6 | pads=[2,2,2,2] strides=[2,2] weights_shape=[16,8,5,5] with_bias=1",
               "1x4x9x7 1x5x5x7 | pads=[0,1,2,0] strides=[2,1] weights_shape=[5,4,3,2]",
               "1x8x11x10 1x8x11x10 | pads=[2,3,2,3] dilations=[2,3] weights_shape=[8,8,3,3]",
               "1x1x24x17 1x4x3x2 | strides=[8,8] weights_shape=[4,1,8,8] with_bias=1",
               "1x8x9x8 1x12x9x8 | group=4 pads=[1,1,1,1] weights_shape=[12,2,3,3] with_bias=1",
               "1x34x6x5 1x34x3x3 | group=2 strides=[2,2] pads=[1,1,1,1] weights_shape=[34,17,3,3]",
               "2x17x7x9 2x17x7x9 | group=17 pads=[1,1,1,1] weights_shape=[17,1,3,3] with_bias=1",
               "1x16x8x8 1x32x4x4 | group=16 strides=[2,2] pads=[1,1,1,1] weights_shape=[32,1,4,4]",
               "1x5x6x7 1x6x3x4 | auto_pad=SAME_UPPER strides=[2,2] weights_shape=[6,5,3,3]",
               "1x3x4x5 1x2x6x7 | pads=[1,2,1,0] weights_shape=[2,3,1,1] with_bias=1",
               "2x3x9x11 2x8x9x11 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[8,3,3,3] with_bias=1",
               "1x8x19x18 1x5x10x9 | pads=[1,1,1,1] pad_mode=reflect strides=[2,2] weights_shape=[5,8,3,3]",
               "1x6x7x9 1x4x7x9 | pads=[2,2,2,2] pad_mode=edge weights_shape=[4,6,5,5]",
               "1x5x6x7 1x3x6x7 | pads=[0,1,2,0] pad_mode=wrap weights_shape=[3,5,3,2] with_bias=1",
               "1x32x30x31 1x16x30x31 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[16,32,3,3] with_bias=1",
               "1x17x35x29 1x33x35x29 | pads=[1,1,1,1] weights_shape=[33,17,3,3] with_bias=1 band_rows=8",
               "2x3x19x11 2x8x19x11 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[8,3,3,3] with_bias=1 band_rows=4",
               "1x17x30x9 1x9x15x5 | pads=[1,1,1,1] pad_mode=edge strides=[2,2] weights_shape=[9,17,3,3] band_rows=4",
               // Wider than oneDNN's kernels may be by AMX.
               "1x32x9x390 1x32x9x390 | group=2 pads=[1,1,1,1] weights_shape=[32,16,3,3]",
               "1x17x19x390 1x16x19x390 | pads=[1,1,1,1] weights_shape=[16,17,3,3] band_rows=9",
               "1x48x52x50 1x48x52x50 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[48,48,3,3]",
               "2x5x13x9 2x7x13x10 | pads=[2,1,0,2] pad_mode=edge weights_shape=[7,5,3,3]",
               "1x36x19x70 1x132x19x70 | pads=[1,1,1,1] weights_shape=[132,36,3,3]",
               // What our own products divide among panels, phases and bands.
               "1x52x7x37 1x68x4x19 | pads=[1,1,1,1] strides=[2,2] weights_shape=[68,52,3,3] with_bias=1",
               "2x20x9x21 2x24x9x21 | pads=[2,3,2,3] dilations=[2,3] pad_mode=reflect weights_shape=[24,20,3,3]",
               "1x16x41x9 1x20x13x3 | strides=[3,3] weights_shape=[20,16,5,2]",
               "2x80x5x34 2x12x5x34 | weights_shape=[12,80,1,1] with_bias=1",
               // Few channels: vectors of either side's.
               "1x13x6x9 1x8x6x9 | pads=[1,1,1,1] weights_shape=[8,13,3,3] with_bias=1",
               "1x16x7x34 1x7x7x34 | pads=[1,1,1,1] weights_shape=[7,16,3,3] with_bias=1",
               "1x2x9x11 1x16x9x11 | pads=[1,1,1,1] weights_shape=[16,2,3,3]",
               "1x13x9x21 1x7x9x21 | pads=[2,3,2,3] dilations=[2,3] pad_mode=edge weights_shape=[7,13,3,3] with_bias=1",
               "2x20x9x8 2x6x4x8 | pads=[0,1,0,1] strides=[2,1] weights_shape=[6,20,3,3]",
               "2x5x20x21 2x16x10x11 | strides=[2,2] pads=[1,1,1,1] pad_mode=edge weights_shape=[16,5,3,3]",
               "2x16x33x9 2x8x33x9 16 16 16 16@0.5..2 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[8,16,3,3] "
               "alpha=0.2",
               // Several bands of an image in a thread's part, and parts across images.
               "3x20x40x70 3x20x40x70 | pads=[1,1,1,1] pad_mode=edge weights_shape=[20,20,3,3] with_bias=1",
               "3x12x23x260 3x10x12x130 | strides=[2,2] pads=[1,1,1,1] weights_shape=[10,12,3,3] with_bias=1",
               "1x64x5x9 1x32x3x5 | strides=[2,2] weights_shape=[32,64,1,1] with_bias=1",
               // Of a source that is normalised while it is read, from one image or from two.
               "1x3x9x11 1x8x9x11 3 3 3 3@0.5..2 | pads=[1,1,1,1] weights_shape=[8,3,3,3] with_bias=1 alpha=0.2",
               "2x48x13x9 2x48x13x9 48 48 48 48@0.5..2 | pads=[1,1,1,1] pad_mode=edge weights_shape=[48,48,3,3]",
               "1x128x6x61 1x24x6x61 132 132 132 132@0.5..2 1x4x6x61 | pads=[1,1,1,1] weights_shape=[24,132,3,3]",
               "2x5x19x11 2x17x19x11 20 20 20 20@0.5..2 2x15x19x11 | pads=[1,1,1,1] weights_shape=[17,20,3,3] alpha=0",
               "1x36x9x70 1x32x9x70 36 36 36 36@0.5..2 | weights_shape=[32,36,1,1] alpha=0.2",
               "2x48x9x7 2x20x9x7 52 52 52 52@0.5..2 2x4x9x7 | weights_shape=[20,52,1,1] alpha=-0.5 with_bias=1",
               "1x20x23x70 1x24x11x34 20 20 20 20@0.5..2 | strides=[2,2] weights_shape=[24,20,3,3] alpha=0.2",
               "1x8x9x8 1x12x7x6 8 8 8 8@0.5..2 | group=4 weights_shape=[12,2,3,3] with_bias=1 alpha=0.2",
               "2x10x20x21 2x18x18x19 17 17 17 17@0.5..2 2x7x20x21 | weights_shape=[18,17,3,3] band_rows=4 alpha=0.2",
               "1x16x10x17 1x8x20x34 16 16 16 16@0.5..2 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[8,16,3,3] "
               "mode=linear scales=[1,1,2,2]",
               "2x48x7x9 2x48x14x18 48 48 48 48@0.5..2 | pads=[1,1,1,1] weights_shape=[48,48,3,3] scales=[1,1,2,2]",
               "1x128x3x31 1x24x6x61 132 132 132 132@0.5..2 1x4x6x61 | pads=[1,1,1,1] weights_shape=[24,132,3,3] "
               "mode=linear sizes=[1,128,6,61]",
               // By blurs: as FusedConv.
               "1x16x34x300 1x80x68x600 20 20 20 20@0.5..2 1x4x68x600 | pads=[1,1,1,1] pad_mode=reflect "
               "weights_shape=[80,20,3,3] mode=linear scales=[1,1,2,2]",
               "1x48x9x85 1x80x18x170 52 52 52 52@0.5..2 1x4x18x170 | pads=[1,1,1,1] pad_mode=reflect "
               "weights_shape=[80,52,3,3] mode=linear scales=[1,1,2,2]",
               "3x6x9x11 3x5x18x22 8 8 8 8@0.5..2 3x2x18x22 | pads=[1,1,1,1] pad_mode=wrap weights_shape=[5,8,3,3] "
               "mode=linear scales=[1,1,2,2]",
               "1x2x8x8 1x70x16x16 2 2 2 2@0.5..2 | pads=[1,1,1,1] weights_shape=[70,2,3,3] mode=linear "
               "scales=[1,1,2,2]",
               "1x20x9x63 1x16x18x126 20 20 20 20@0.5..2 | pads=[1,1,1,1] pad_mode=edge weights_shape=[16,20,3,3] "
               "scales=[1,1,2,2]",
               "1x3x9x7 1x5x20x15 5 5 5 5@0.5..2 1x2x20x15 | weights_shape=[5,5,1,1] mode=cubic sizes=[1,3,20,15]",
           }},
  };
  return ops;
}

}  // namespace hourglass::ops
