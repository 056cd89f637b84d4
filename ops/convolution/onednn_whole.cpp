#include "ops/convolution/onednn_whole.h"

#include <algorithm>

#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"

namespace hourglass::kernels {
namespace {

using From = Argument::From;

constexpr const char* kNoKernel = "oneDNN has no kernel for this CPU and type";

// The weights in the graph (4-D) and as oneDNN's choice `inner` (5-D when grouped).
struct WeightsLayout {
  MemoryDesc outer;  // the graph's value
  MemoryDesc given;  // the same memory as oneDNN describes it
  MemoryDesc inner;  // what the primitive takes
  [[nodiscard]] bool needs_reorder() const { return given != inner; }
};

TensorType grouped(const TensorType& weights, int64_t group) {
  const Shape& s = weights.shape;
  if (group == 1) return weights;
  return {weights.dtype, Shape{group, s[0] / group, s[1], s[2], s[3]}};
}

WeightsLayout weights_layout(const TensorType& weights, int64_t group, const MemoryDesc& inner) {
  if (group == 1) return {.outer = inner, .given = inner, .inner = inner};
  return {.outer = plain(weights), .given = plain(grouped(weights, group)), .inner = inner};
}

ConvolutionSpec spec_of(const PlanContext& ctx, const Convolution& conv) {
  const auto activation = [&](const TensorType& type) {
    return ctx.policy == LayoutPolicy::channels_last ? with_tag(type, Tag::nhwc) : any(type);
  };
  ConvolutionSpec spec{.src = activation(conv.src),
                       .weights = any(grouped(conv.weights, conv.group)),
                       .bias = {},
                       .dst = activation(conv.dst),
                       .strides = conv.window.strides(),
                       .dilations = conv.window.dilations(),
                       .padding_l = conv.window.padding_l(),
                       .padding_r = conv.window.padding_r()};
  if (conv.has_bias) spec.bias = plain({DType::f32, Shape{conv.dst.shape[1]}});
  return spec;
}

// make(engine, spec); where oneDNN has only its reference implementation for the layouts of the spec, with layouts of
// its own choice.
template <typename Make>
auto make_fast(const PlanContext& ctx, const ConvolutionSpec& spec, const Make& make) {
  auto desc = make(ctx.engine, spec);
  if (!desc || has_fast_implementation(desc)) return desc;
  ConvolutionSpec free = spec;
  free.src = any(spec.src);
  free.dst = any(spec.dst);
  auto other = make(ctx.engine, free);
  return has_fast_implementation(other) ? other : desc;
}

// Books scratch memory: the larger of the two primitives' scratchpads, then the blocked weights, whose offset it
// returns.
int64_t book_scratch(const dnnl::primitive_desc_base& desc, const dnnl::primitive_desc_base& reorder,
                     const WeightsLayout& weights, KernelPlan& plan) {
  ScratchLayout scratch;
  scratch.add(std::max(desc.scratchpad_desc().get_size(), reorder.scratchpad_desc().get_size()));
  const std::size_t at = scratch.add(weights.inner.get_size());
  plan.scratch_bytes = at + weights.inner.get_size();
  return static_cast<int64_t>(at);
}

// Completes the plan of forward and backward-data, whose input 1 are the weights.
template <typename Primitive>
void finish_with_weights_in(const PlanContext& ctx, const WeightsLayout& weights,
                            const typename Primitive::primitive_desc& desc, std::vector<Argument> arguments,
                            KernelPlan& plan) {
  plan.implementation = implementation_of(desc);
  plan.scratch_bytes = desc.scratchpad_desc().get_size();
  arguments.push_back({DNNL_ARG_SCRATCHPAD, From::scratchpad, 0, desc.scratchpad_desc()});
  if (!weights.needs_reorder()) {
    arguments.push_back({DNNL_ARG_WEIGHTS, From::src, 1, weights.given});
    plan.kernel = primitive_kernel(Primitive(desc), ctx.engine, std::move(arguments));
    return;
  }
  const auto reorder = make_reorder(ctx.engine, weights.given, weights.inner);
  const Argument blocked{DNNL_ARG_WEIGHTS, From::scratch, book_scratch(desc, reorder, weights, plan), weights.inner};
  arguments.push_back(blocked);
  std::vector<std::unique_ptr<Kernel>> steps;
  steps.push_back(reorder_kernel(ctx.engine, reorder, {DNNL_ARG_FROM, From::src, 1, weights.given},
                                 {DNNL_ARG_TO, From::scratch, blocked.index, weights.inner}));
  steps.push_back(primitive_kernel(Primitive(desc), ctx.engine, std::move(arguments)));
  plan.kernel = sequence_kernel(std::move(steps), 1);
}

Answer plan_forward(const PlanContext& ctx, const Convolution& conv) {
  const ConvolutionSpec spec = spec_of(ctx, conv);
  const auto desc = make_fast(ctx, spec, make_convolution);
  if (!desc) return Declined{kNoKernel};
  const WeightsLayout weights = weights_layout(conv.weights, conv.group, desc.weights_desc());
  KernelPlan plan;
  plan.src = {desc.src_desc(), weights.outer};
  plan.dst = {desc.dst_desc()};
  std::vector<Argument> arguments{{DNNL_ARG_SRC, From::src, 0, desc.src_desc()},
                                  {DNNL_ARG_DST, From::dst, 0, desc.dst_desc()}};
  if (conv.has_bias) {
    plan.src.push_back(spec.bias);
    arguments.push_back({DNNL_ARG_BIAS, From::src, 2, spec.bias});
  }
  finish_with_weights_in<dnnl::convolution_forward>(ctx, weights, desc, std::move(arguments), plan);
  return plan;
}

Answer plan_grad_src(const PlanContext& ctx, const Convolution& conv) {
  const auto desc = make_fast(ctx, spec_of(ctx, conv), make_convolution_backward_data);
  if (!desc) return Declined{kNoKernel};
  const WeightsLayout weights = weights_layout(conv.weights, conv.group, desc.weights_desc());
  KernelPlan plan;
  plan.src = {desc.diff_dst_desc(), weights.outer};
  plan.dst = {desc.diff_src_desc()};
  finish_with_weights_in<dnnl::convolution_backward_data>(ctx, weights, desc,
                                                          {{DNNL_ARG_DIFF_DST, From::src, 0, desc.diff_dst_desc()},
                                                           {DNNL_ARG_DIFF_SRC, From::dst, 0, desc.diff_src_desc()}},
                                                          plan);
  return plan;
}

Answer plan_grad_weights(const PlanContext& ctx, const Convolution& conv) {
  const ConvolutionSpec spec = spec_of(ctx, conv);
  const auto desc = make_fast(ctx, spec, make_convolution_backward_weights);
  if (!desc) return Declined{kNoKernel};
  const WeightsLayout weights = weights_layout(conv.weights, conv.group, desc.diff_weights_desc());

  KernelPlan plan{.src = {desc.src_desc(), desc.diff_dst_desc()},
                  .dst = {weights.outer},
                  .scratch_bytes = desc.scratchpad_desc().get_size(),
                  .implementation = implementation_of(desc),
                  .kernel = nullptr};
  std::vector<Argument> arguments{{DNNL_ARG_SRC, From::src, 0, desc.src_desc()},
                                  {DNNL_ARG_DIFF_DST, From::src, 1, desc.diff_dst_desc()},
                                  {DNNL_ARG_SCRATCHPAD, From::scratchpad, 0, desc.scratchpad_desc()}};
  if (conv.has_bias) {
    plan.dst.push_back(spec.bias);
    arguments.push_back({DNNL_ARG_DIFF_BIAS, From::dst, 1, spec.bias});
  }
  using Primitive = dnnl::convolution_backward_weights;
  if (!weights.needs_reorder()) {
    arguments.push_back({DNNL_ARG_DIFF_WEIGHTS, From::dst, 0, weights.given});
    plan.kernel = primitive_kernel(Primitive(desc), ctx.engine, std::move(arguments));
    return plan;
  }
  const auto reorder = make_reorder(ctx.engine, weights.inner, weights.given);
  const int64_t at = book_scratch(desc, reorder, weights, plan);
  arguments.push_back({DNNL_ARG_DIFF_WEIGHTS, From::scratch, at, weights.inner});
  std::vector<std::unique_ptr<Kernel>> steps;
  steps.push_back(primitive_kernel(Primitive(desc), ctx.engine, std::move(arguments)));
  steps.push_back(reorder_kernel(ctx.engine, reorder, {DNNL_ARG_FROM, From::scratch, at, weights.inner},
                                 {DNNL_ARG_TO, From::dst, 0, weights.given}));
  plan.kernel = sequence_kernel(std::move(steps), 0);
  return plan;
}

}  // namespace

Answer plan_onednn_whole(const PlanContext& ctx, const Convolution& conv) {
  if (conv.padding_mode != PaddingMode::constant) return Declined{"pads with zeros only"};
  switch (conv.direction) {
    case Direction::forward: return plan_forward(ctx, conv);
    case Direction::grad_src: return plan_grad_src(ctx, conv);
    case Direction::grad_weights: return plan_grad_weights(ctx, conv);
  }
  return Declined{kNoKernel};
}

Answer plan_onednn_transposed(const PlanContext& ctx, const Convolution& conv) {
  if (!conv.window.h.is_pointwise() || !conv.window.w.is_pointwise()) return Declined{"pointwise only"};
  const Shape& given = conv.weights.shape;
  Convolution forward = conv;
  forward.src = conv.dst;
  forward.weights.shape = Shape{given[1], given[0], 1, 1};
  forward.dst = conv.src;
  const auto desc = make_fast(ctx, spec_of(ctx, forward), make_convolution);
  if (!desc) return Declined{kNoKernel};
  const MemoryDesc weights = desc.weights_desc();
  KernelPlan plan;
  plan.src = {desc.src_desc(), weights.permute_axes({1, 0, 2, 3})};
  plan.dst = {desc.dst_desc()};
  finish_with_weights_in<dnnl::convolution_forward>(
      ctx, {.outer = plan.src[1], .given = weights, .inner = weights}, desc,
      {{DNNL_ARG_SRC, From::src, 0, desc.src_desc()}, {DNNL_ARG_DST, From::dst, 0, desc.dst_desc()}}, plan);
  return plan;
}

}  // namespace hourglass::kernels
