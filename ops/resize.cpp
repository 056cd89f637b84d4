// Resize: dst[n,c,oh,ow] = sum over (h,w) of row[oh,h] * column[ow,w] * src[n,c,h,w].              ONNX Resize-18
//   src: [N,C,H,W], dst: [N,C,OH,OW].  Output o of an axis looks at source coordinate x(o); its row of weights is
//   nearest: 1 at x rounded;  linear: the hat function around x;  cubic: Keys' kernel with parameter cubic_coeff_a.
//   With antialias, where an axis shrinks, both functions are stretched by 1 / scale, and the weights of an output
//   scaled to a sum of 1.
//   Outside the image the edge is repeated, or with exclude_outside the weights inside are scaled to a sum of 1; with
//   tf_crop_and_resize, which sees the part [start, end] of the image, dst is extrapolation_value there.
//   x(o), with s = scale (given, or dst / src): half_pixel (o + 1/2) / s - 1/2; pytorch_half_pixel the same, 0 for a
//   single output; half_pixel_symmetric the same, moved by half of the extent that rounding cut off; asymmetric o / s;
//   tf_half_pixel_for_nn (o + 1/2) / s; align_corners o (src - 1) / (dst - 1); tf_crop_and_resize
//   start (src - 1) + o (end - start) (src - 1) / (dst - 1).
//   Upsample (ONNX 1 to 9) is Resize with x(o) = o / s.
// ResizeWithStatistics: with the outputs of BatchNormalizationStatistics of dst; made by ops/fused/fuse.h.
// ResizeStatistics: mean and inv_std of dst alone; dst is never computed (normalization/resized.h). Made by
//   ops/fused/fuse.h.
// Linear in src, so the gradient is the transposed map, diff_src[h,w] = sum row[oh,h] * column[ow,w] * diff_dst[oh,ow],
// gathered by source pixel: no two threads add to one number.
//   Keys, Cubic convolution interpolation for digital image processing, IEEE ASSP 1981, eq. 15.
#include "graph/error.h"
#include "ops/fused/statistics_outputs.h"
#include "ops/geometry/resize_taps.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/memory/filled.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/resized.h"
#include "ops/normalization/written_statistics.h"
#include "ops/resampling/separable_map.h"

#include <omp.h>

namespace hourglass::ops::resize {
namespace {

using kernels::resized_shape;
using kernels::SeparableMap;
using kernels::TapList;
using kernels::taps_of_axis;
using kernels::View;
using kernels::WrittenStatistics;

enum Axis : int { kH = 2, kW = 3 };

// ---- definition

void infer_forward(InferContext& ctx) {
  ctx.outputs.push_back({ctx.inputs[0]->dtype, resized_shape(ctx.attrs, ctx.shape(0))});
}

void infer_with_statistics(InferContext& ctx) {
  infer_forward(ctx);
  kernels::infer_written_statistics(ctx);
}

void infer_backward(InferContext& ctx) {
  const Shape src(ctx.attrs.ints("src_shape"));
  const Shape expected = resized_shape(ctx.attrs, src);
  if (ctx.shape(0) != expected) fail("diff_dst has shape {}, expected {}", ctx.shape(0), expected);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, src});
}

void infer_statistics(InferContext& ctx) {
  const Shape dst = resized_shape(ctx.attrs, ctx.shape(0));
  if (kernels::crops(ctx.attrs)) fail("Resize sees a part of the image only, which is not supported here");
  ctx.outputs.resize(2, {DType::f32, Shape{dst[1]}});
}

void vjp(VjpContext& ctx) {
  Attrs attrs = ctx.node.attrs;
  attrs.set("src_shape", ctx.in_shape(0).dims());
  ctx.set_grad(0, ctx.b.add("ResizeGrad", {ctx.grad_out()}, attrs, ctx.node.name + "/grad"));
}

void normalize_resize(NormalizeContext& ctx) {
  if (ctx.opset < 11) {  // src, scales; one coordinate transformation
    if (ctx.inputs.size() > 1) ctx.inputs.insert(ctx.inputs.begin() + 1, kNoValue);
    ctx.attrs.set("coordinate_transformation_mode", std::string("asymmetric"));
    ctx.attrs.set("nearest_mode", std::string("floor"));
  }
  // An empty roi or scales says no more than an absent one.
  for (std::size_t i = 1; i < ctx.inputs.size(); ++i) {
    if (ctx.inputs[i].valid() && ctx.graph.shape(ctx.inputs[i]).elements() == 0) ctx.inputs[i] = kNoValue;
  }
  if (ctx.attrs.has("mode") && ctx.attrs.string("mode") == "bilinear") ctx.attrs.set("mode", std::string("linear"));
}

void normalize_upsample(NormalizeContext& ctx) {
  ctx.op = "Resize";
  if (ctx.attrs.has("height_scale") && ctx.attrs.has("width_scale")) {  // Upsample-1
    ctx.attrs.set("scales", Floats{1, 1, ctx.attrs.real("height_scale"), ctx.attrs.real("width_scale")});
    ctx.attrs.erase("height_scale");
    ctx.attrs.erase("width_scale");
  }
  ctx.opset = 10;
  normalize_resize(ctx);
}

// The first was removed in opset 13, the second came with 19; the exporter writes 14 or 16.
bool resize_to_onnx(ToOnnxContext& ctx) {
  const std::string& mode = ctx.node.attrs.string("coordinate_transformation_mode");
  return mode != "tf_half_pixel_for_nn" && mode != "half_pixel_symmetric";
}

// Files hold Resize instead; only a graph built by hand has this one.
bool upsample_to_onnx(ToOnnxContext&) { return false; }

// ---- extrapolation

// What lies outside of tf_crop_and_resize's image is a constant, and the rest is linear.
std::vector<ValueId> lower_extrapolation(LowerContext& ctx) {
  const double value = ctx.node.attrs.real("extrapolation_value");
  if (!kernels::crops(ctx.node.attrs) || value == 0) return {};
  Attrs attrs = ctx.node.attrs;
  attrs.set("extrapolation_value", 0.0);
  const ValueId src = ctx.node.inputs[0], inside = ctx.add("Resize", {src}, attrs);
  const Shape shape = ctx.shape(src), dst = ctx.shape(inside);
  HostTensor outside = kernels::filled(Shape{1, 1, dst[kH], dst[kW]}, 0);  // refuses what is too large, before all else
  const std::vector<bool> rows = kernels::outside_of_axis(attrs, shape, kH),
                          columns = kernels::outside_of_axis(attrs, shape, kW);
  for (int64_t i = 0; i < outside.shape.elements(); ++i) {
    const bool is_out = rows[static_cast<std::size_t>(i / dst[kW])] || columns[static_cast<std::size_t>(i % dst[kW])];
    outside.values[static_cast<std::size_t>(i)] = is_out ? value : 0;
  }
  return {ctx.add("Add", {inside, ctx.b.constant(std::move(outside), ctx.node.name + "/outside")})};
}

// ---- references

// fn(src element, dst element, weight) for every pair of pixels that meet.
template <typename Function>
void for_each_pair(const Attrs& attrs, const Shape& src, const Shape& dst, const Function& fn) {
  const std::vector<TapList> rows = taps_of_axis(attrs, src, kH), columns = taps_of_axis(attrs, src, kW);
  for (int64_t plane = 0; plane < src[0] * src[1]; ++plane) {
    for (int64_t oh = 0; oh < dst[kH]; ++oh) {
      for (int64_t ow = 0; ow < dst[kW]; ++ow) {
        for (const auto& [h, row_weight] : rows[static_cast<std::size_t>(oh)]) {
          for (const auto& [w, column_weight] : columns[static_cast<std::size_t>(ow)]) {
            fn(static_cast<std::size_t>((plane * src[kH] + h) * src[kW] + w),
               static_cast<std::size_t>((plane * dst[kH] + oh) * dst[kW] + ow), row_weight * column_weight);
          }
        }
      }
    }
  }
}

void reference_forward(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  auto& dst = ctx.outputs[0];
  for_each_pair(ctx.attrs, src.shape, dst.shape,
                [&](std::size_t i, std::size_t o, double weight) { dst.values[o] += weight * src.values[i]; });
}

void reference_with_statistics(ReferenceContext& ctx) {
  reference_forward(ctx);
  kernels::reference_written_statistics(ctx);
}

void reference_statistics(ReferenceContext& ctx) {
  ctx.outputs.insert(ctx.outputs.begin(),
                     HostTensor(ctx.inputs[0]->dtype, resized_shape(ctx.attrs, ctx.inputs[0]->shape)));
  reference_with_statistics(ctx);
  ctx.outputs.erase(ctx.outputs.begin());
}

void reference_backward(ReferenceContext& ctx) {
  const HostTensor& diff_dst = *ctx.inputs[0];
  auto& diff_src = ctx.outputs[0];
  for_each_pair(ctx.attrs, diff_src.shape, diff_dst.shape, [&](std::size_t i, std::size_t o, double weight) {
    diff_src.values[i] += weight * diff_dst.values[o];
  });
}
// ---- kernels

constexpr int64_t kSerial = 16384;  // elements

// `scratch` has a buffer for each thread.
template <class T>
void run_map(const SeparableMap& map, int64_t parts, const WrittenStatistics& statistics, const Addresses& at) {
  const auto* src = static_cast<const T*>(at.src[0]);
  auto* dst = static_cast<T*>(at.dst[0]);
  const View &from = map.src(), &to = map.dst();
  const int64_t total = to.n * to.groups * to.h;
  kernels::parallel_parts(parts, [&](int64_t thread, const auto& take) {
    float* buffer = static_cast<float*>(at.scratch) + thread * map.buffer_floats();
    for (int64_t part = take(); part >= 0; part = take()) {
      for (int64_t row = total * part / parts; row < total * (part + 1) / parts; ++row) {
        const int64_t oh = row % to.h, group = row / to.h % to.groups, n = row / to.h / to.groups;
        T* out = dst + to.offset(n, group, oh, 0);
        map.make_row(src + from.offset(n, group, 0, 0), oh, buffer, out);
        statistics.add(at, part, out, to.w);
      }
      statistics.end_part(at, part);
    }
  });
}

// To dst of type `type`; with an epsilon, and a channels-last dst, with its statistics.
KernelPlan plan_map(const MemoryDesc& src_desc, const MemoryDesc& dst_desc, const TensorType& type,
                    const std::vector<TapList>& rows, const std::vector<TapList>& columns,
                    std::optional<double> epsilon = {}) {
  const View dst = kernels::view_of(dst_desc);
  const auto map = std::make_shared<const SeparableMap>(kernels::view_of(src_desc), dst, rows, columns);
  const int64_t lines = dst.n * dst.groups * dst.h,
                parts = lines * dst.w * dst.block < kSerial ? 1 : kernels::parts_of(lines);
  kernels::ScratchLayout offsets;
  offsets.add(static_cast<std::size_t>(omp_get_max_threads() * map->buffer_floats()) * sizeof(float));
  const WrittenStatistics statistics(type, epsilon, parts, offsets);
  KernelPlan plan{.src = {src_desc},
                  .dst = {dst_desc},
                  .scratch_bytes = offsets.end(),
                  .implementation = "loop",
                  .kernel = nullptr};
  statistics.add_to(plan);
  kernels::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([map, parts, statistics](const Addresses& at) {
      statistics.begin(at);
      run_map<T>(*map, parts, statistics, at);
      statistics.end(at);
    });
  });
  return plan;
}

// Layouts of source and result whose views agree in block.
std::pair<MemoryDesc, MemoryDesc> layouts_for(const PlanContext& ctx) {
  if (kernels::is_viewable(ctx.src[0]) && kernels::view_of(ctx.src[0]).dense_rows()) {
    const MemoryDesc dst = kernels::in_layout_of(ctx.src[0], ctx.out());
    const View a = kernels::view_of(ctx.src[0]), b = kernels::view_of(dst);
    if (a.block == b.block && b.dense_rows()) return {ctx.src[0], dst};
  }
  return {kernels::plain(ctx.in(0)), kernels::plain(ctx.out())};
}

KernelPlan plan_forward_with(const PlanContext& ctx, std::optional<double> epsilon) {
  kernels::require_float(ctx.in(0));
  const auto layouts = layouts_for(ctx);
  const Shape& shape = ctx.in(0).shape;
  const auto plan = [&](std::optional<double> with) {
    return plan_map(layouts.first, layouts.second, ctx.out(), taps_of_axis(ctx.node.attrs, shape, kH),
                    taps_of_axis(ctx.node.attrs, shape, kW), with);
  };
  if (!epsilon || kernels::view_of(layouts.second).is_channels_last()) return plan(epsilon);
  return kernels::before_statistics(ctx.out(), *epsilon, plan({}));
}

KernelPlan plan_forward(PlanContext& ctx) { return plan_forward_with(ctx, {}); }

KernelPlan plan_with_statistics(PlanContext& ctx) { return plan_forward_with(ctx, ctx.node.attrs.real("epsilon")); }

KernelPlan plan_statistics(PlanContext& ctx) {
  const TensorType& src = ctx.in(0);
  const auto resized = std::make_shared<const kernels::ResizedNormalization>(ctx.node.attrs, src.shape);
  KernelPlan plan{.src = {kernels::with_tag(src, kernels::Tag::nhwc)},
                  .dst = {kernels::plain(ctx.out(0)), kernels::plain(ctx.out(1))},
                  .scratch_bytes = resized->scratch_bytes(),
                  .implementation = "loop",
                  .kernel = nullptr};
  const double epsilon = ctx.node.attrs.real("epsilon");
  kernels::with_element(src.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([resized, epsilon](const Addresses& at) {
      resized->take_statistics<T>({.z = at.src[0],
                                   .mean = static_cast<float*>(at.dst[0]),
                                   .inv_std = static_cast<float*>(at.dst[1]),
                                   .scratch = at.scratch},
                                  epsilon);
    });
  });
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  const auto [diff_dst, diff_src] = layouts_for(ctx);
  const Shape& shape = ctx.out().shape;
  return plan_map(diff_dst, diff_src, ctx.out(),
                  kernels::transposed(taps_of_axis(ctx.node.attrs, shape, kH), shape[kH]),
                  kernels::transposed(taps_of_axis(ctx.node.attrs, shape, kW), shape[kW]));
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Resize",
       .since = 10,
       .attrs = kernels::resize_attrs("half_pixel", "round_prefer_floor", {}),
       .const_inputs = {{1, "roi"}, {2, "scales"}, {3, "sizes"}},
       .normalize = normalize_resize,
       .lower = lower_extrapolation,
       .to_onnx = resize_to_onnx,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .linear = true,
       .again = "Resize"},
      {.name = "Upsample",
       .since = 1,
       .attrs = kernels::resize_attrs("asymmetric", "floor", {}),
       .normalize = normalize_upsample,
       .to_onnx = upsample_to_onnx,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "ResizeWithStatistics",
       .internal = true,
       .attrs = kernels::resize_attrs("half_pixel", "round_prefer_floor", {{"epsilon", 1e-5}}),
       .infer = infer_with_statistics,
       .plan = plan_with_statistics,
       .reference = reference_with_statistics,
       .bf16_inputs = 0b1},
      {.name = "ResizeStatistics",
       .internal = true,
       .attrs = kernels::resize_attrs("half_pixel", "round_prefer_floor", {{"epsilon", 1e-5}}),
       .infer = infer_statistics,
       .plan = plan_statistics,
       .reference = reference_statistics,
       .bf16_inputs = 0b1},
      {.name = "ResizeGrad",
       .internal = true,
       .attrs =
           kernels::resize_attrs("half_pixel", "round_prefer_floor", {AttrSpec::required("src_shape", AttrKind::ints)}),
       .infer = infer_backward,
       .plan = plan_backward,
       .reference = reference_backward,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::resize
