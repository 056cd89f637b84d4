// AveragePool: dst[n,c,oh,ow] = mean of the window's pixels.                          ONNX AveragePool-19 (from 1)
//   The divisor counts the window's taps inside the source, or with count_include_pad inside the source and its
//   pads. Taps of a ceil_mode window beyond source and pads never count (as in PyTorch).
//   diff_src[ih,iw] = sum over the windows that hold (ih,iw) of diff_dst / divisor
//   src: [N,C,H,W], dst: [N,C,OH,OW]. Signals, [N,C,W], and volumes are pooled as images: ops/pooling.h.
#include <algorithm>

#include "graph/error.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/memory/view.h"
#include "ops/pooling.h"

namespace hourglass::ops::average_pool {
namespace {

using kernels::PoolRow;
using kernels::View;
using kernels::Window;
using kernels::WindowAxis;
using From = kernels::Argument::From;

bool include_pad(const Attrs& attrs) { return attrs.integer("count_include_pad") != 0; }

Window checked_window(const Attrs& attrs, const Shape& src) {
  const Window window = kernels::pooling_window(attrs, src);
  if (!include_pad(attrs)) kernels::require_source_in_every_window(window);
  return window;
}

Shape dst_shape(const Window& window, const Shape& src) { return {src[0], src[1], window.h.dst, window.w.dst}; }

std::vector<ValueId> lower(LowerContext& ctx) { return kernels::pool_other_ranks(ctx); }

void infer_forward(InferContext& ctx) {
  ctx.outputs.push_back({ctx.inputs[0]->dtype, dst_shape(checked_window(ctx.attrs, ctx.shape(0)), ctx.shape(0))});
}

void infer_backward(InferContext& ctx) {
  const Shape src(ctx.attrs.ints("src_shape"));
  const Shape expected = dst_shape(checked_window(ctx.attrs, src), src);
  if (ctx.shape(0) != expected) fail("diff_dst is {}, expected {}", ctx.shape(0), expected);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, src});
}

void vjp(VjpContext& ctx) {
  Attrs attrs = ctx.node.attrs;
  attrs.set("src_shape", ctx.in_shape(0).dims());
  ctx.set_grad(0, ctx.b.add("AveragePoolGrad", {ctx.grad_out()}, std::move(attrs), ctx.node.name + "/grad"));
}

// The taps of output o along one axis that the divisor counts.
int64_t counted(const WindowAxis& axis, int64_t o, bool with_pads) {
  const auto [first, end] = axis.taps(o);
  return with_pads ? axis.padded_taps(o) : end - first;
}

// ---- references

// Calls visit(src index, dst index, divisor) for every pixel of every window.
template <typename Visit>
void for_each_tap(const Attrs& attrs, const Shape& src, const Visit& visit) {
  const auto [h, w] = checked_window(attrs, src);
  const bool with_pads = include_pad(attrs);
  for (int64_t plane = 0; plane < src[0] * src[1]; ++plane) {
    for (int64_t oh = 0; oh < h.dst; ++oh) {
      for (int64_t ow = 0; ow < w.dst; ++ow) {
        const auto divisor = static_cast<double>(counted(h, oh, with_pads) * counted(w, ow, with_pads));
        for (int64_t kh = 0; kh < h.kernel; ++kh) {
          for (int64_t kw = 0; kw < w.kernel; ++kw) {
            const int64_t ih = h.position(oh, kh), iw = w.position(ow, kw);
            if (ih < 0 || ih >= h.src || iw < 0 || iw >= w.src) continue;
            visit(static_cast<std::size_t>((plane * h.src + ih) * w.src + iw),
                  static_cast<std::size_t>((plane * h.dst + oh) * w.dst + ow), divisor);
          }
        }
      }
    }
  }
}

void reference_forward(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  HostTensor& dst = ctx.outputs[0];
  for_each_tap(ctx.attrs, src.shape,
               [&](std::size_t s, std::size_t d, double divisor) { dst.values[d] += src.values[s] / divisor; });
}

void reference_backward(ReferenceContext& ctx) {
  const HostTensor& diff_dst = *ctx.inputs[0];
  HostTensor& diff_src = ctx.outputs[0];
  for_each_tap(ctx.attrs, diff_src.shape, [&](std::size_t s, std::size_t d, double divisor) {
    diff_src.values[s] += diff_dst.values[d] / divisor;
  });
}

// ---- kernels

struct Pooling {
  Window window;
  View src, dst;
  bool with_pads;
};

template <class T>
HG_CLONES void forward_row(const Pooling& p, PoolRow row, const T* src, T* dst) {
  const auto& [h, w] = p.window;
  const auto [kh0, kh1] = h.taps(row.h);
  const int64_t rows = counted(h, row.h, p.with_pads);
  for (int64_t ow = 0; ow < w.dst; ++ow) {
    const auto [kw0, kw1] = w.taps(ow);
    const float scale = 1.0F / static_cast<float>(rows * counted(w, ow, p.with_pads));
    for (int64_t lane = 0; lane < p.src.block; lane += kernels::kPoolLanes) {
      const int64_t lanes = std::min(kernels::kPoolLanes, p.src.block - lane);
      float sum[kernels::kPoolLanes] = {};
      for (int64_t kh = kh0; kh < kh1; ++kh) {
        for (int64_t kw = kw0; kw < kw1; ++kw) {
          const T* s = src + p.src.offset(row.n, row.g, h.position(row.h, kh), w.position(ow, kw)) + lane;
          for (int64_t i = 0; i < lanes; ++i) sum[i] += kernels::load(s + i);
        }
      }
      T* d = dst + p.dst.offset(row.n, row.g, row.h, ow) + lane;
      for (int64_t i = 0; i < lanes; ++i) kernels::store(d + i, sum[i] * scale);
    }
  }
}

// Gathers what the windows over each source pixel send back, so that no two threads write one pixel.
template <class T>
HG_CLONES void backward_row(const Pooling& p, PoolRow row, const T* diff_dst, T* diff_src) {
  const auto& [h, w] = p.window;
  const auto [oh0, oh1] = h.outputs(row.h, row.h + 1);
  for (int64_t iw = 0; iw < w.src; ++iw) {
    const auto [ow0, ow1] = w.outputs(iw, iw + 1);
    for (int64_t lane = 0; lane < p.src.block; lane += kernels::kPoolLanes) {
      const int64_t lanes = std::min(kernels::kPoolLanes, p.src.block - lane);
      float sum[kernels::kPoolLanes] = {};
      for (int64_t oh = oh0; oh < oh1; ++oh) {
        if ((row.h - h.position(oh, 0)) % h.dilation != 0) continue;
        const int64_t rows = counted(h, oh, p.with_pads);
        for (int64_t ow = ow0; ow < ow1; ++ow) {
          if ((iw - w.position(ow, 0)) % w.dilation != 0) continue;
          const float scale = 1.0F / static_cast<float>(rows * counted(w, ow, p.with_pads));
          const T* d = diff_dst + p.dst.offset(row.n, row.g, oh, ow) + lane;
          for (int64_t i = 0; i < lanes; ++i) sum[i] += kernels::load(d + i) * scale;
        }
      }
      T* s = diff_src + p.src.offset(row.n, row.g, row.h, iw) + lane;
      for (int64_t i = 0; i < lanes; ++i) kernels::store(s + i, sum[i]);
    }
  }
}

dnnl::algorithm algorithm_of(const Attrs& attrs) {
  return include_pad(attrs) ? dnnl::algorithm::pooling_avg_include_padding
                            : dnnl::algorithm::pooling_avg_exclude_padding;
}

// oneDNN divides by the whole window when it includes padding, overhanging or not.
bool onednn_agrees(const Window& window, const Attrs& attrs) {
  return !include_pad(attrs) || (!window.h.overhangs() && !window.w.overhangs());
}

KernelPlan plan_forward(PlanContext& ctx) {
  kernels::require_float(ctx.in(0));
  const Attrs& attrs = ctx.node.attrs;
  const Window window = checked_window(attrs, ctx.in(0).shape);
  const MemoryDesc src = kernels::in_layout_of(ctx.src[0], ctx.in(0));
  const MemoryDesc dst = kernels::in_layout_of(src, ctx.out());
  KernelPlan plan{.src = {src}, .dst = {dst}, .implementation = "loop", .kernel = nullptr};
  const kernels::PoolingSpec spec = kernels::pooling_spec(algorithm_of(attrs), window, src, dst);
  if (onednn_agrees(window, attrs) && kernels::plan_onednn_pooling(ctx, spec, plan)) return plan;
  const Pooling p{window, kernels::view_of(src), kernels::view_of(dst), include_pad(attrs)};
  plan.kernel = kernels::pooling_loop(ctx.in(0).dtype, p.dst,
                                      [p](PoolRow row, const auto* from, auto* to) { forward_row(p, row, from, to); });
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const Window window = checked_window(attrs, ctx.out().shape);
  const MemoryDesc diff_dst = kernels::in_layout_of(ctx.src[0], ctx.in(0));
  const MemoryDesc diff_src = kernels::in_layout_of(diff_dst, ctx.out());
  KernelPlan plan{.src = {diff_dst}, .dst = {diff_src}, .implementation = "loop", .kernel = nullptr};
  if (onednn_agrees(window, attrs)) {
    const auto desc = kernels::make_pooling_backward(
        ctx.engine, kernels::pooling_spec(algorithm_of(attrs), window, diff_src, diff_dst));
    if (kernels::has_fast_implementation(desc)) {
      plan.implementation = kernels::implementation_of(desc);
      plan.scratch_bytes = desc.scratchpad_desc().get_size();
      plan.kernel = kernels::primitive_kernel(kernels::PoolingBackward(desc), ctx.engine,
                                              {{DNNL_ARG_DIFF_DST, From::src, 0, diff_dst},
                                               {DNNL_ARG_DIFF_SRC, From::dst, 0, diff_src},
                                               {DNNL_ARG_SCRATCHPAD, From::scratchpad, 0, desc.scratchpad_desc()}});
      return plan;
    }
  }
  const Pooling p{window, kernels::view_of(diff_src), kernels::view_of(diff_dst), include_pad(attrs)};
  plan.kernel = kernels::pooling_loop(ctx.in(0).dtype, p.src,
                                      [p](PoolRow row, const auto* from, auto* to) { backward_row(p, row, from, to); });
  return plan;
}

std::vector<AttrSpec> attrs_with(std::vector<AttrSpec> more) {
  std::vector<AttrSpec> attrs{AttrSpec::required("kernel_shape", AttrKind::ints),
                              {"strides", Dims{}},
                              {"pads", Dims{}},
                              {"dilations", Dims{}},
                              {"auto_pad", std::string("NOTSET")},
                              {"ceil_mode", int64_t{0}},
                              {"count_include_pad", int64_t{0}}};
  attrs.insert(attrs.end(), more.begin(), more.end());
  return attrs;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "AveragePool",
       .attrs = attrs_with({}),
       .lower = lower,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "AveragePoolGrad",
       .internal = true,
       .attrs = attrs_with({AttrSpec::required("src_shape", AttrKind::ints)}),
       .infer = infer_backward,
       .plan = plan_backward,
       .reference = reference_backward,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::average_pool
