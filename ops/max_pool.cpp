// MaxPool: dst[n,c,oh,ow] = maximum of the window's source pixels (padding never wins).    ONNX MaxPool-12 (from 1)
//   diff_src[ih,iw] = sum of diff_dst over the windows whose maximum is (ih,iw)
//   Among equals the first in row-major order is the maximum, as in PyTorch. NaN is passed over where there is a number
//   beside it, as oneDNN's kernels do; PyTorch and numpy make NaN of the window. Of NaN alone the reference makes NaN,
//   kernels make -infinity or, oneDNN's in f32, the lowest finite number. Beside -infinity alone it may get the
//   gradient. src: [N,C,H,W], dst: [N,C,OH,OW]. Signals, [N,C,W], and volumes are pooled as images: ops/pooling.h. The
//   output Indices, where it is read, is an op of its own: MaxPoolIndices, the maxima's offsets in src (i64).
// MaxUnpool-11: dst has src's elements where the Indices of its second input say, and zeros elsewhere.
//   A ScatterElements. Without output_shape dst is as large as the windows reach; with it, further zeros follow.
//
// MaxPoolGrad takes (src, diff_dst) and finds the maxima again: oneDNN's backward pass wants the opaque workspace of
// its forward pass, which would be a value of no type we have, alive from one pass to the other.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/error.h"
#include "graph/text.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/memory/filled.h"
#include "ops/memory/view.h"
#include "ops/pooling.h"

namespace hourglass::ops::max_pool {
namespace {

using kernels::PoolRow;
using kernels::View;
using kernels::Window;

Window checked_window(const Attrs& attrs, const Shape& src) {
  if (attrs.integer("storage_order") != 0) fail("storage_order is 1; only 0, row-major, is supported");
  const Window window = kernels::pooling_window(attrs, src);
  kernels::require_source_in_every_window(window);
  return window;
}

Shape dst_shape(const Window& window, const Shape& src) { return {src[0], src[1], window.h.dst, window.w.dst}; }

// Where in its window a maximum lies, as kh * KW + kw.
using Tap = uint16_t;

void infer_forward(InferContext& ctx) {
  ctx.outputs.push_back({ctx.inputs[0]->dtype, dst_shape(checked_window(ctx.attrs, ctx.shape(0)), ctx.shape(0))});
}

void infer_backward(InferContext& ctx) {
  const Window window = checked_window(ctx.attrs, ctx.shape(0));
  const Shape expected = dst_shape(window, ctx.shape(0));
  if (ctx.shape(1) != expected) fail("diff_dst is {}, expected {}", ctx.shape(1), expected);
  if (ctx.inputs[0]->dtype != ctx.inputs[1]->dtype) {
    fail("src is {} and diff_dst is {}; both must be the same", ctx.inputs[0]->dtype, ctx.inputs[1]->dtype);
  }
  if (window.h.kernel * window.w.kernel > std::numeric_limits<Tap>::max()) {
    fail("a window of {}x{} is too large for the gradient of MaxPool", window.h.kernel, window.w.kernel);
  }
  ctx.outputs.push_back(*ctx.inputs[0]);
}

void vjp(VjpContext& ctx) {
  ctx.set_grad(0, ctx.b.add("MaxPoolGrad", {ctx.in(0), ctx.grad_out()}, ctx.node.attrs, ctx.node.name + "/grad"));
}

void infer_indices(InferContext& ctx) {
  const Window window = checked_window(ctx.attrs, ctx.shape(0));
  if (ctx.shape(0).elements() > std::numeric_limits<int32_t>::max()) fail("src {} is too large", ctx.shape(0));
  ctx.outputs.push_back({DType::i64, dst_shape(window, ctx.shape(0))});
}

void normalize(NormalizeContext& ctx) {
  if (ctx.outputs.size() > 1 && ctx.outputs[1].empty()) ctx.outputs.resize(1);
}

std::vector<ValueId> lower_max_pool(LowerContext& ctx) {
  if (ctx.outputs_wanted < 2) return kernels::pool_other_ranks(ctx);
  return {ctx.add("MaxPool", ctx.node.inputs, ctx.node.attrs),
          ctx.add("MaxPoolIndices", ctx.node.inputs, ctx.node.attrs)};
}

// ONNX's has the maxima too.
bool indices_to_onnx(ToOnnxContext& ctx) {
  ctx.op = "MaxPool";
  ctx.outputs.insert(ctx.outputs.begin(), ctx.outputs[0] + "/maxima");
  return true;
}

std::vector<ValueId> lower_max_unpool(LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const ValueId src = ctx.node.inputs[0], indices = ctx.node.inputs[1];
  const Shape shape = ctx.shape(src);
  if (shape.rank() != 4 || shape.elements() == 0 || ctx.shape(indices) != shape) {
    fail("src is {} and indices are {}, expected [N,C,H,W] for both", shape, ctx.shape(indices));
  }
  const auto value = [&](const char* name, std::size_t i, int64_t otherwise) {
    const Dims& values = attrs.ints(name);
    if (values.empty()) return otherwise;
    if (values.size() <= i) fail("{} has {} values, expected one for each side", name, values.size());
    if (values[i] < 0 || values[i] > 1 << 20) fail("{} has {}, which is out of range", name, values[i]);
    return values[i];
  };
  Dims dims{shape[0], shape[1]};
  for (const std::size_t a : {0, 1}) {
    dims.push_back((shape[static_cast<int>(2 + a)] - 1) * value("strides", a, 1) + value("kernel_shape", a, 1) -
                   value("pads", a, 0) - value("pads", a + 2, 0));
  }
  const Shape reached(dims);
  const ValueId zeros = ctx.b.constant(kernels::filled(Shape{reached.elements()}, 0), ctx.node.name + "/zeros");
  const ValueId flat = ctx.add("ScatterElements",
                               {zeros, ctx.reshape(indices, {shape.elements()}), ctx.reshape(src, {shape.elements()})});
  const ValueId dst = ctx.reshape(flat, dims);
  const Dims& wanted = attrs.ints("output_shape");
  if (wanted.empty() || wanted == dims) return {dst};
  if (wanted.size() != 4 || wanted[0] != dims[0] || wanted[1] != dims[1] || wanted[2] < dims[2] ||
      wanted[3] < dims[3]) {
    fail("output_shape is [{}], the windows reach {}", join(wanted, ","), reached);
  }
  return {ctx.add("Pad", {dst}, {{"pads", Dims{0, 0, 0, 0, 0, 0, wanted[2] - dims[2], wanted[3] - dims[3]}}})};
}

// Whether x takes the place of the largest so far: any number takes NaN's, and NaN none.
template <class T>
bool exceeds(T x, T most) {
  return x > most || (std::isnan(most) && !std::isnan(x));
}

// ---- references

// Calls visit(src index of the maximum, dst index) for every window.
template <typename Visit>
void for_each_maximum(const Attrs& attrs, const HostTensor& src, const Visit& visit) {
  const auto [h, w] = checked_window(attrs, src.shape);
  for (int64_t plane = 0; plane < src.shape[0] * src.shape[1]; ++plane) {
    for (int64_t oh = 0; oh < h.dst; ++oh) {
      for (int64_t ow = 0; ow < w.dst; ++ow) {
        int64_t best = -1;
        for (int64_t kh = 0; kh < h.kernel; ++kh) {
          for (int64_t kw = 0; kw < w.kernel; ++kw) {
            const int64_t ih = h.position(oh, kh), iw = w.position(ow, kw);
            if (ih < 0 || ih >= h.src || iw < 0 || iw >= w.src) continue;
            const int64_t s = (plane * h.src + ih) * w.src + iw;
            const auto value = [&](int64_t at) { return src.values[static_cast<std::size_t>(at)]; };
            if (best < 0 || exceeds(value(s), value(best))) best = s;
          }
        }
        visit(static_cast<std::size_t>(best), static_cast<std::size_t>((plane * h.dst + oh) * w.dst + ow));
      }
    }
  }
}

void reference_forward(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  for_each_maximum(ctx.attrs, src, [&](std::size_t s, std::size_t d) { ctx.outputs[0].values[d] = src.values[s]; });
}

void reference_indices(ReferenceContext& ctx) {
  for_each_maximum(ctx.attrs, *ctx.inputs[0],
                   [&](std::size_t s, std::size_t d) { ctx.outputs[0].values[d] = static_cast<double>(s); });
}

void reference_backward(ReferenceContext& ctx) {
  const HostTensor& diff_dst = *ctx.inputs[1];
  for_each_maximum(ctx.attrs, *ctx.inputs[0],
                   [&](std::size_t s, std::size_t d) { ctx.outputs[0].values[s] += diff_dst.values[d]; });
}

// ---- kernels

struct Pooling {
  Window window;
  View src, dst;
};

template <class T>
HG_CLONES void forward_row(const Pooling& p, PoolRow row, const T* src, T* dst) {
  const auto& [h, w] = p.window;
  const auto [kh0, kh1] = h.taps(row.h);
  for (int64_t ow = 0; ow < w.dst; ++ow) {
    const auto [kw0, kw1] = w.taps(ow);
    for (int64_t lane = 0; lane < p.src.block; lane += kernels::kPoolLanes) {
      const int64_t lanes = std::min(kernels::kPoolLanes, p.src.block - lane);
      float best[kernels::kPoolLanes];
      std::fill_n(best, lanes, -std::numeric_limits<float>::infinity());
      for (int64_t kh = kh0; kh < kh1; ++kh) {
        for (int64_t kw = kw0; kw < kw1; ++kw) {
          const T* s = src + p.src.offset(row.n, row.g, h.position(row.h, kh), w.position(ow, kw)) + lane;
          for (int64_t i = 0; i < lanes; ++i) {
            const float x = kernels::load(s + i);
            best[i] = x > best[i] ? x : best[i];
          }
        }
      }
      T* d = dst + p.dst.offset(row.n, row.g, row.h, ow) + lane;
      for (int64_t i = 0; i < lanes; ++i) kernels::store(d + i, best[i]);
    }
  }
}

// `taps` lies like dst.
template <class T>
HG_CLONES void find_row(const Pooling& p, PoolRow row, const T* src, Tap* taps) {
  const auto& [h, w] = p.window;
  const auto [kh0, kh1] = h.taps(row.h);
  for (int64_t ow = 0; ow < w.dst; ++ow) {
    const auto [kw0, kw1] = w.taps(ow);
    for (int64_t lane = 0; lane < p.src.block; lane += kernels::kPoolLanes) {
      const int64_t lanes = std::min(kernels::kPoolLanes, p.src.block - lane);
      float best[kernels::kPoolLanes];
      int32_t tap[kernels::kPoolLanes];
      std::fill_n(best, lanes, -std::numeric_limits<float>::infinity());
      std::fill_n(tap, lanes, static_cast<int32_t>(kh0 * w.kernel + kw0));
      for (int64_t kh = kh0; kh < kh1; ++kh) {
        for (int64_t kw = kw0; kw < kw1; ++kw) {
          const T* s = src + p.src.offset(row.n, row.g, h.position(row.h, kh), w.position(ow, kw)) + lane;
          const auto here = static_cast<int32_t>(kh * w.kernel + kw);
          for (int64_t i = 0; i < lanes; ++i) {
            const float x = kernels::load(s + i);
            tap[i] = x > best[i] ? here : tap[i];
            best[i] = x > best[i] ? x : best[i];
          }
        }
      }
      Tap* t = taps + p.dst.offset(row.n, row.g, row.h, ow) + lane;
      for (int64_t i = 0; i < lanes; ++i) t[i] = static_cast<Tap>(tap[i]);
    }
  }
}

// Gathers what the windows over each source pixel send back, so that no two threads write one pixel.
template <class T>
HG_CLONES void backward_row(const Pooling& p, PoolRow row, const Tap* taps, const T* diff_dst, T* diff_src) {
  const auto& [h, w] = p.window;
  const auto [oh0, oh1] = h.outputs(row.h, row.h + 1);
  for (int64_t iw = 0; iw < w.src; ++iw) {
    const auto [ow0, ow1] = w.outputs(iw, iw + 1);
    for (int64_t lane = 0; lane < p.src.block; lane += kernels::kPoolLanes) {
      const int64_t lanes = std::min(kernels::kPoolLanes, p.src.block - lane);
      float sum[kernels::kPoolLanes] = {};
      for (int64_t oh = oh0; oh < oh1; ++oh) {
        const int64_t down = row.h - h.position(oh, 0);
        if (down % h.dilation != 0) continue;
        for (int64_t ow = ow0; ow < ow1; ++ow) {
          const int64_t right = iw - w.position(ow, 0);
          if (right % w.dilation != 0) continue;
          const auto here = static_cast<Tap>(down / h.dilation * w.kernel + right / w.dilation);
          const int64_t at = p.dst.offset(row.n, row.g, oh, ow) + lane;
          for (int64_t i = 0; i < lanes; ++i) sum[i] += taps[at + i] == here ? kernels::load(diff_dst + at + i) : 0.0F;
        }
      }
      T* s = diff_src + p.src.offset(row.n, row.g, row.h, iw) + lane;
      for (int64_t i = 0; i < lanes; ++i) kernels::store(s + i, sum[i]);
    }
  }
}

KernelPlan plan_forward(PlanContext& ctx) {
  kernels::require_float(ctx.in(0));
  const Window window = checked_window(ctx.node.attrs, ctx.in(0).shape);
  const MemoryDesc src = kernels::in_layout_of(ctx.src[0], ctx.in(0));
  const MemoryDesc dst = kernels::in_layout_of(src, ctx.out());
  KernelPlan plan{.src = {src}, .dst = {dst}, .implementation = "loop", .kernel = nullptr};
  const kernels::PoolingSpec spec = kernels::pooling_spec(dnnl::algorithm::pooling_max, window, src, dst);
  if (kernels::plan_onednn_pooling(ctx, spec, plan)) return plan;
  const Pooling p{window, kernels::view_of(src), kernels::view_of(dst)};
  plan.kernel = kernels::pooling_loop(ctx.in(0).dtype, p.dst,
                                      [p](PoolRow row, const auto* from, auto* to) { forward_row(p, row, from, to); });
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  const Window window = checked_window(ctx.node.attrs, ctx.in(0).shape);
  const MemoryDesc src = kernels::in_layout_of(ctx.src[0], ctx.in(0));
  const MemoryDesc diff_dst = kernels::in_layout_of(src, ctx.in(1));
  KernelPlan plan{.src = {src, diff_dst},
                  .dst = {src},
                  .scratch_bytes = static_cast<std::size_t>(kernels::padded_elements(diff_dst)) * sizeof(Tap),
                  .implementation = "loop",
                  .kernel = nullptr};
  const Pooling p{window, kernels::view_of(src), kernels::view_of(diff_dst)};
  kernels::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([p](const Addresses& at) {
      const auto* from = static_cast<const T*>(at.src[0]);
      const auto* diff = static_cast<const T*>(at.src[1]);
      auto* to = static_cast<T*>(at.dst[0]);
      auto* taps = static_cast<Tap*>(at.scratch);
      kernels::for_each_row(p.dst, [&](PoolRow row) { find_row(p, row, from, taps); });
      kernels::for_each_row(p.src, [&](PoolRow row) { backward_row(p, row, taps, diff, to); });
    });
  });
  // The maxima are found before the first write, and each row reads diff_dst only.
  plan.in_place = {{0, 0}};
  return plan;
}

KernelPlan plan_indices(PlanContext& ctx) {
  kernels::require_float(ctx.in(0));
  const Window window = checked_window(ctx.node.attrs, ctx.in(0).shape);
  const int64_t planes = ctx.in(0).shape[0] * ctx.in(0).shape[1];
  KernelPlan plan{.src = {kernels::plain(ctx.in(0))},
                  .dst = {kernels::plain(ctx.out())},
                  .implementation = "loop",
                  .kernel = nullptr};
  kernels::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      const kernels::WindowAxis &h = window.h, &w = window.w;
      const auto* src = static_cast<const T*>(at.src[0]);
      auto* dst = static_cast<int32_t*>(at.dst[0]);
      kernels::parallel_for(planes * h.dst, [&](int64_t row) {
        const int64_t plane = row / h.dst, oh = row % h.dst;
        const auto [kh0, kh1] = h.taps(oh);
        for (int64_t ow = 0; ow < w.dst; ++ow) {
          const auto [kw0, kw1] = w.taps(ow);
          int64_t best = (plane * h.src + h.position(oh, kh0)) * w.src + w.position(ow, kw0);
          for (int64_t kh = kh0; kh < kh1; ++kh) {
            for (int64_t kw = kw0; kw < kw1; ++kw) {
              const int64_t s = (plane * h.src + h.position(oh, kh)) * w.src + w.position(ow, kw);
              if (exceeds(kernels::load(src + s), kernels::load(src + best))) best = s;
            }
          }
          dst[row * w.dst + ow] = static_cast<int32_t>(best);
        }
      });
    });
  });
  return plan;
}

std::vector<AttrSpec> pooling_attrs() {
  return {AttrSpec::required("kernel_shape", AttrKind::ints),
          {"strides", Dims{}},
          {"pads", Dims{}},
          {"dilations", Dims{}},
          {"auto_pad", std::string("NOTSET")},
          {"ceil_mode", int64_t{0}},
          {"storage_order", int64_t{0}}};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "MaxPool",
       .attrs = pooling_attrs(),
       .normalize = normalize,
       .lower = lower_max_pool,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b1},
      {.name = "MaxPoolIndices",
       .internal = true,
       .attrs = pooling_attrs(),
       .to_onnx = indices_to_onnx,
       .infer = infer_indices,
       .plan = plan_indices,
       .reference = reference_indices,
       .bf16_inputs = 0b1},
      {.name = "MaxUnpool",
       .since = 9,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {AttrSpec::required("kernel_shape", AttrKind::ints),
                 {"strides", Dims{}},
                 {"pads", Dims{}},
                 {"output_shape", Dims{}}},
       .const_inputs = {{2, "output_shape"}},
       .lower = lower_max_unpool},
      {.name = "MaxPoolGrad",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = pooling_attrs(),
       .infer = infer_backward,
       .plan = plan_backward,
       .reference = reference_backward,
       .bf16_inputs = 0b11},
  };
  return ops;
}

}  // namespace hourglass::ops::max_pool
