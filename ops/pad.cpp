// Pad: dst holds src with `pads` elements more before and after each axis; negative pads crop.        ONNX Pad-19
//   constant: `value`; reflect: src mirrored about its border element (pads < extent); edge: the border element; wrap:
//   src repeated. src [d0, d1, ...], dst [d0 + pads[0] + pads[rank], ...].
// Each axis is a map from dst's index to src's (or to none): dst[i, j, ...] = src[map0(i), map1(j), ...].
//   diff_src = PadGrad: the sum of diff_dst over all indices that map to the element.
#include <numeric>

#include "graph/error.h"
#include "graph/op.h"
#include "ops/geometry/padding_mode.h"
#include "ops/moving/padding.h"

namespace hourglass::ops::pad {
namespace {

using kernels::kOutside;

// Opset 18's `axes` chooses the axes that `pads` speaks of.
Dims pads_of(const Attrs& attrs, int rank) {
  const Dims& given = attrs.ints("pads");
  Dims axes(static_cast<std::size_t>(rank));
  std::iota(axes.begin(), axes.end(), int64_t{0});
  if (attrs.has("axes")) axes = attrs.ints("axes");
  if (given.size() != 2 * axes.size()) {
    fail("pads has {} entries, expected {}: a begin and an end for each of {} axes", given.size(), 2 * axes.size(),
         axes.size());
  }
  Dims pads(2 * static_cast<std::size_t>(rank), 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(normalize_axis(axes[i], rank));
    pads[axis] = given[i];
    pads[axis + static_cast<std::size_t>(rank)] = given[i + axes.size()];
  }
  return pads;
}

Shape padded(const Attrs& attrs, const Shape& src) {
  const Dims pads = pads_of(attrs, src.rank());
  const kernels::PaddingMode border = kernels::padding_mode_of(attrs.string("mode"));
  Dims dims = src.dims();
  const std::size_t rank = dims.size();
  for (std::size_t d = 0; d < rank; ++d) {
    const int64_t begin = pads[d], end = pads[d + rank], extent = src.dims()[d];
    kernels::check_padding(border, begin, end, extent, static_cast<int>(d));
    if (__builtin_add_overflow(dims[d], begin, &dims[d]) || __builtin_add_overflow(dims[d], end, &dims[d]) ||
        dims[d] < 0) {
      fail("pads of {} and {} leave axis {} of {} elements with less than none", begin, end, d, extent);
    }
  }
  return Shape(std::move(dims));
}

// For one axis: src's index for each of dst's, or kOutside.
Dims index_map(const Attrs& attrs, const Shape& src, const Shape& dst, std::size_t axis) {
  const kernels::PaddingMode border = kernels::padding_mode_of(attrs.string("mode"));
  const int64_t begin = pads_of(attrs, src.rank())[axis], extent = src.dims()[axis];
  Dims map(static_cast<std::size_t>(dst.dims()[axis]));
  for (std::size_t i = 0; i < map.size(); ++i) {
    map[i] = kernels::border_source(border, static_cast<int64_t>(i) - begin, extent);
  }
  return map;
}

std::vector<Dims> index_maps(const Attrs& attrs, const Shape& src, const Shape& dst) {
  std::vector<Dims> maps;
  for (std::size_t d = 0; d < src.dims().size(); ++d) maps.push_back(index_map(attrs, src, dst, d));
  return maps;
}

// visit(dst element, src element or kOutside) for every element of dst, both row-major.
template <typename Visit>
void for_each_element(const std::vector<Dims>& maps, const Shape& src, const Shape& dst, const Visit& visit) {
  const Dims strides = src.strides();
  Dims index(maps.size(), 0);
  for (int64_t i = 0; i < dst.elements(); ++i) {
    int64_t from = 0;
    for (std::size_t d = 0; d < maps.size() && from != kOutside; ++d) {
      const int64_t at = maps[d][static_cast<std::size_t>(index[d])];
      from = at == kOutside ? kOutside : from + at * strides[d];
    }
    visit(i, from);
    for (std::size_t d = maps.size(); d-- > 0;) {
      if (++index[d] < dst.dims()[d]) break;
      index[d] = 0;
    }
  }
}

void normalize(NormalizeContext& ctx) {
  if (ctx.attrs.has("paddings")) {  // opset 1
    ctx.attrs.set("pads", ctx.attrs.ints("paddings"));
    ctx.attrs.erase("paddings");
  }
}

void infer(InferContext& ctx) { ctx.outputs.push_back({ctx.inputs[0]->dtype, padded(ctx.attrs, ctx.shape(0))}); }

void infer_grad(InferContext& ctx) {
  const Shape src(ctx.attrs.ints("src_shape"));
  const Shape dst = padded(ctx.attrs, src);
  if (dst != ctx.shape(0)) fail("diff_dst is {}, {} is padded to {}", ctx.shape(0), src, dst);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, src});
}

void vjp(VjpContext& ctx) {
  Attrs attrs = ctx.node.attrs;
  attrs.set("src_shape", ctx.in_shape(0).dims());
  ctx.set_grad(0, ctx.b.add("PadGrad", {ctx.grad_out()}, std::move(attrs), ctx.node.name + "/grad"));
}

void reference(ReferenceContext& ctx) {
  const HostTensor &src = *ctx.inputs[0], &dst = ctx.outputs[0];
  const double value = ctx.attrs.real("value");
  for_each_element(index_maps(ctx.attrs, src.shape, dst.shape), src.shape, dst.shape, [&](int64_t to, int64_t from) {
    ctx.outputs[0].values[static_cast<std::size_t>(to)] =
        from == kOutside ? value : src.values[static_cast<std::size_t>(from)];
  });
}

void reference_grad(ReferenceContext& ctx) {
  const HostTensor& diff_dst = *ctx.inputs[0];
  HostTensor& diff_src = ctx.outputs[0];
  for_each_element(index_maps(ctx.attrs, diff_src.shape, diff_dst.shape), diff_src.shape, diff_dst.shape,
                   [&](int64_t from, int64_t to) {
                     if (to != kOutside) {
                       diff_src.values[static_cast<std::size_t>(to)] += diff_dst.values[static_cast<std::size_t>(from)];
                     }
                   });
}

kernels::Padding padding_of(const Attrs& attrs, const Shape& src, const Shape& dst) {
  return {.pads = pads_of(attrs, src.rank()),
          .maps = index_maps(attrs, src, dst),
          .value = static_cast<float>(attrs.real("value"))};
}

KernelPlan plan(PlanContext& ctx) {
  return kernels::plan_padding(ctx, padding_of(ctx.node.attrs, ctx.in(0).shape, ctx.out(0).shape));
}

KernelPlan plan_grad(PlanContext& ctx) {
  return kernels::plan_padding_gradient(ctx, padding_of(ctx.node.attrs, ctx.out(0).shape, ctx.in(0).shape));
}

std::vector<AttrSpec> attrs_with(std::vector<AttrSpec> more) {
  std::vector<AttrSpec> attrs{AttrSpec::required("pads", AttrKind::ints),
                              {"mode", "constant"},
                              {"value", 0.0},
                              AttrSpec::optional("axes", AttrKind::ints)};
  attrs.insert(attrs.end(), more.begin(), more.end());
  return attrs;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Pad",
       .attrs = attrs_with({}),
       .const_inputs = {{1, "pads", 11}, {2, "value", 11}, {3, "axes", 18}},
       .normalize = normalize,
       .infer = infer,
       .vjp = vjp,
       .plan = plan,
       .reference = reference,
       .bf16_inputs = 0b1},
      {.name = "PadGrad",
       .internal = true,
       .attrs = attrs_with({AttrSpec::required("src_shape", AttrKind::ints)}),
       .infer = infer_grad,
       .plan = plan_grad,
       .reference = reference_grad,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::pad
