// Pad: dst holds src with `pads` elements more before and after each axis; negative pads crop.        ONNX Pad-19
//   constant: `value`; reflect: src mirrored about its border element (pads < extent); edge: the border element; wrap:
//   src repeated. src [d0, d1, ...], dst [d0 + pads[0] + pads[rank], ...].
// Each axis is a map from dst's index to src's (or to none): dst[i, j, ...] = src[map0(i), map1(j), ...].
//   diff_src = PadGrad: the sum of diff_dst over all indices that map to the element.
#include <omp.h>

#include <algorithm>
#include <numeric>

#include "graph/error.h"
#include "ops/geometry/padding_mode.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"

namespace hourglass::ops::pad {
namespace {

using kernels::kOutside;
using kernels::View;

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

// ---- kernels for activations padded in H and W: row by row

// The stretch of dst's columns that continues src without a break: dst [begin, end) is src [begin - shift, ...).
struct Stretch {
  int64_t begin = 0, end = 0, shift = 0;
};

Stretch stretch_of(const Attrs& attrs, const Shape& src, const Shape& dst) {
  const int64_t shift = pads_of(attrs, 4)[3];
  return {.begin = std::max<int64_t>(0, shift), .end = std::min(dst[3], src[3] + shift), .shift = shift};
}

template <class T>
HG_CLONES void copy_row(const T* src, T* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] = src[i];
}

template <class T>
HG_CLONES void fill_row(T* dst, int64_t count, float value) {
  for (int64_t i = 0; i < count; ++i) kernels::store(dst + i, value);
}

template <class To, class From>
HG_CLONES void add_row(const From* src, To* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) kernels::store(dst + i, kernels::load(dst + i) + kernels::load(src + i));
}

template <class T>
HG_CLONES void round_row(const float* src, T* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) kernels::store(dst + i, src[i]);
}

// Everything that the row kernels need; made once.
struct RowPlan {
  View src, dst;
  Dims rows, columns;         // dst -> src
  std::vector<Dims> rows_of;  // src row -> the dst rows that it appears in
  Stretch stretch;
  float value = 0;
};

template <class T>
void pad_rows(const RowPlan& plan, const T* src, T* dst) {
  const View &from = plan.src, &to = plan.dst;
  kernels::parallel_for(to.n * to.groups * to.h, [&](int64_t item) {
    const int64_t h = item % to.h, g = item / to.h % to.groups, n = item / (to.h * to.groups);
    T* out = dst + to.offset(n, g, h, 0);
    const int64_t lanes = to.lanes(g);
    const int64_t row = plan.rows[static_cast<std::size_t>(h)];
    const auto fill_pixel = [&](int64_t w) {
      fill_row(out + w * to.block, lanes, plan.value);
      fill_row(out + w * to.block + lanes, to.block - lanes, 0.0F);
    };
    if (row == kOutside) {
      for (int64_t w = 0; w < to.w; ++w) fill_pixel(w);
      return;
    }
    const T* in = src + from.offset(n, g, row, 0);
    const auto border = [&](int64_t begin, int64_t end) {
      for (int64_t w = begin; w < end; ++w) {
        const int64_t column = plan.columns[static_cast<std::size_t>(w)];
        if (column == kOutside) {
          fill_pixel(w);
        } else {
          copy_row(in + column * from.block, out + w * to.block, to.block);
        }
      }
    };
    const Stretch& s = plan.stretch;
    if (s.begin >= s.end) {
      border(0, to.w);
      return;
    }
    border(0, s.begin);
    copy_row(in + (s.begin - s.shift) * from.block, out + s.begin * to.block, (s.end - s.begin) * to.block);
    border(s.end, to.w);
  });
}

// Adds the diff_dst row `in` to the diff_src row `out`: the stretch as it lies, then what folds back from the border.
template <class To, class From>
void fold_row(const RowPlan& plan, const From* in, To* out) {
  const Stretch& s = plan.stretch;
  const int64_t block = plan.src.block;
  const auto border = [&](int64_t begin, int64_t end) {
    for (int64_t w = begin; w < end; ++w) {
      const int64_t column = plan.columns[static_cast<std::size_t>(w)];
      if (column != kOutside) add_row(in + w * block, out + column * block, block);
    }
  };
  if (s.begin < s.end) {
    add_row(in + s.begin * block, out + (s.begin - s.shift) * block, (s.end - s.begin) * block);
    border(0, s.begin);
    border(s.end, plan.dst.w);
  } else {
    border(0, plan.dst.w);
  }
}

// `work` has room for a row of floats per thread: sums of several rows are rounded once.
template <class T>
void fold_rows(const RowPlan& plan, const T* diff_dst, T* diff_src, float* work) {
  const View &to = plan.src, &from = plan.dst;
  const int64_t row_elements = to.w * to.block;
  kernels::parallel_for(to.n * to.groups * to.h, [&](int64_t item) {
    const int64_t h = item % to.h, g = item / to.h % to.groups, n = item / (to.h * to.groups);
    T* out = diff_src + to.offset(n, g, h, 0);
    const Dims& rows = plan.rows_of[static_cast<std::size_t>(h)];
    const Stretch& s = plan.stretch;
    const bool whole = s.begin < s.end && s.begin - s.shift == 0 && s.end - s.begin == to.w;
    const bool few_columns = from.w - (s.end - s.begin) <= 2;  // each element is rounded at most once more
    if (rows.size() == 1 && whole && few_columns) {
      const T* in = diff_dst + from.offset(n, g, rows[0], 0);
      copy_row(in + s.begin * from.block, out, row_elements);
      for (int64_t w = s.begin > 0 ? 0 : s.end; w < from.w; w = w + 1 == s.begin ? s.end : w + 1) {
        const int64_t column = plan.columns[static_cast<std::size_t>(w)];
        if (column != kOutside) add_row(in + w * from.block, out + column * to.block, to.block);
      }
      return;
    }
    float* sum = work + omp_get_thread_num() * row_elements;
    std::fill(sum, sum + row_elements, 0.0F);
    for (const int64_t row : rows) fold_row(plan, diff_dst + from.offset(n, g, row, 0), sum);
    round_row(sum, out, row_elements);
  });
}

bool pads_rows_and_columns_only(const Attrs& attrs, const Shape& src) {
  if (src.rank() != 4) return false;
  const Dims pads = pads_of(attrs, 4);
  return pads[0] == 0 && pads[1] == 0 && pads[4] == 0 && pads[5] == 0;
}

RowPlan row_plan(const Attrs& attrs, const Shape& src, const Shape& dst, const MemoryDesc& src_desc,
                 const MemoryDesc& dst_desc) {
  RowPlan plan{.src = kernels::view_of(src_desc),
               .dst = kernels::view_of(dst_desc),
               .rows = index_map(attrs, src, dst, 2),
               .columns = index_map(attrs, src, dst, 3),
               .rows_of = std::vector<Dims>(static_cast<std::size_t>(src[2])),
               .stretch = stretch_of(attrs, src, dst),
               .value = static_cast<float>(attrs.real("value"))};
  for (std::size_t h = 0; h < plan.rows.size(); ++h) {
    if (plan.rows[h] != kOutside)
      plan.rows_of[static_cast<std::size_t>(plan.rows[h])].push_back(static_cast<int64_t>(h));
  }
  return plan;
}

// Forward and gradient differ in which side is read; `narrow` is src's side, `wide` is dst's.
template <bool kForward>
KernelPlan plan(PlanContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const TensorType& narrow = kForward ? ctx.in(0) : ctx.out(0);
  const TensorType& wide = kForward ? ctx.out(0) : ctx.in(0);
  const bool by_rows = pads_rows_and_columns_only(attrs, narrow.shape) && kernels::is_viewable(ctx.src[0]);
  const MemoryDesc given = by_rows ? kernels::in_layout_of(ctx.src[0], ctx.in(0)) : kernels::plain(ctx.in(0));
  const MemoryDesc made = kernels::in_layout_of(given, ctx.out(0));
  kernels::require_float(narrow);
  KernelPlan result{
      .src = {given}, .dst = {made}, .implementation = by_rows ? "loop" : "loop:plain", .kernel = nullptr};
  kernels::with_element(narrow.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    if (by_rows) {
      const RowPlan rows = row_plan(attrs, narrow.shape, wide.shape, kForward ? given : made, kForward ? made : given);
      result.kernel = loop_kernel([rows](const Addresses& at) {
        if constexpr (kForward) {
          pad_rows(rows, static_cast<const T*>(at.src[0]), static_cast<T*>(at.dst[0]));
        } else {
          fold_rows(rows, static_cast<const T*>(at.src[0]), static_cast<T*>(at.dst[0]),
                    static_cast<float*>(at.scratch));
        }
      });
      if (!kForward) {
        result.scratch_bytes =
            sizeof(float) * static_cast<std::size_t>(omp_get_max_threads() * rows.src.w * rows.src.block);
      }
      return;
    }
    const std::vector<Dims> maps = index_maps(attrs, narrow.shape, wide.shape);
    const auto value = static_cast<float>(attrs.real("value"));
    result.kernel = loop_kernel([maps, value, small = narrow.shape, large = wide.shape](const Addresses& at) {
      const auto* src = static_cast<const T*>(at.src[0]);
      auto* dst = static_cast<T*>(at.dst[0]);
      if constexpr (kForward) {
        for_each_element(maps, small, large, [&](int64_t to, int64_t from) {
          kernels::store(dst + to, from == kOutside ? value : kernels::load(src + from));
        });
      } else {
        fill_row(dst, small.elements(), 0.0F);
        for_each_element(maps, small, large, [&](int64_t from, int64_t to) {
          if (to != kOutside) kernels::store(dst + to, kernels::load(dst + to) + kernels::load(src + from));
        });
      }
    });
  });
  return result;
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
       .plan = plan<true>,
       .reference = reference,
       .bf16_inputs = 0b1},
      {.name = "PadGrad",
       .internal = true,
       .attrs = attrs_with({AttrSpec::required("src_shape", AttrKind::ints)}),
       .infer = infer_grad,
       .plan = plan<false>,
       .reference = reference_grad,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::pad
