#include "ops/moving/padding.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "ops/geometry/padding_mode.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {
namespace {

// The stretch of dst's columns that continues src without a break: dst [begin, end) is src [begin - shift, ...).
struct Stretch {
  int64_t begin = 0, end = 0, shift = 0;
};

// A dimension outside of the rows.
struct OuterAxis {
  Dims source;                             // dst's index -> src's, or kOutside
  std::vector<Dims> shown_at;              // src's index -> the indices of dst that show it
  int64_t src_stride = 0, dst_stride = 0;  // in elements
};

// All that the kernels need. A row is the innermost dimension or, of an activation, W with a block of channels; src and
// dst are rows at every index of the outer dimensions.
struct RowPlan {
  std::vector<OuterAxis> outer;
  int64_t src_rows = 1, dst_rows = 1, src_columns = 1, dst_columns = 1;
  Dims columns;  // dst -> src
  Stretch stretch;
  int64_t block = 1, last_lanes = 1;  // elements of a pixel; channels of the last block, the others stay 0
  std::size_t channel_axis = 0;       // the outer dimension of channel blocks
  float value = 0;
};

void add_outer(RowPlan& plan, Dims source, int64_t extent, int64_t src_stride, int64_t dst_stride) {
  OuterAxis axis{.source = std::move(source),
                 .shown_at = std::vector<Dims>(static_cast<std::size_t>(extent)),
                 .src_stride = src_stride,
                 .dst_stride = dst_stride};
  for (std::size_t i = 0; i < axis.source.size(); ++i) {
    if (axis.source[i] == kOutside) continue;
    axis.shown_at[static_cast<std::size_t>(axis.source[i])].push_back(static_cast<int64_t>(i));
  }
  plan.src_rows *= extent;
  plan.dst_rows *= static_cast<int64_t>(axis.source.size());
  plan.outer.push_back(std::move(axis));
}

void set_columns(RowPlan& plan, const Padding& padding, const Shape& src, const Shape& dst) {
  if (src.rank() == 0) {
    plan.columns = {0};
    plan.stretch = {.begin = 0, .end = 1};
    return;
  }
  const auto last = static_cast<std::size_t>(src.rank() - 1);
  const int64_t shift = padding.pads[last];
  plan.columns = padding.maps[last];
  plan.src_columns = src[-1];
  plan.dst_columns = dst[-1];
  plan.stretch = {.begin = std::max<int64_t>(0, shift), .end = std::min(dst[-1], src[-1] + shift), .shift = shift};
}

// Row-major tensors, padded along any dimensions.
RowPlan row_plan(const Padding& padding, const Shape& src, const Shape& dst) {
  RowPlan plan;
  plan.value = padding.value;
  set_columns(plan, padding, src, dst);
  const Dims src_strides = src.strides(), dst_strides = dst.strides();
  for (std::size_t d = 0; d + 1 < src_strides.size(); ++d) {
    add_outer(plan, padding.maps[d], src.dims()[d], src_strides[d], dst_strides[d]);
  }
  return plan;
}

// Activations in any layout, padded in H and W.
RowPlan row_plan(const Padding& padding, const Shape& src, const Shape& dst, const View& src_view,
                 const View& dst_view) {
  RowPlan plan;
  plan.block = src_view.block;
  plan.last_lanes = src_view.lanes(src_view.groups - 1);
  plan.channel_axis = 1;
  plan.value = padding.value;
  set_columns(plan, padding, src, dst);
  const auto itself = [](int64_t extent) {
    Dims map(static_cast<std::size_t>(extent));
    std::iota(map.begin(), map.end(), int64_t{0});
    return map;
  };
  add_outer(plan, itself(src_view.n), src_view.n, src_view.stride_n, dst_view.stride_n);
  add_outer(plan, itself(src_view.groups), src_view.groups, src_view.stride_g, dst_view.stride_g);
  add_outer(plan, padding.maps[2], src_view.h, src_view.stride_h, dst_view.stride_h);
  return plan;
}

template <class T>
void copy_pixels(const T* src, T* dst, int64_t elements) {
  std::memcpy(dst, src, static_cast<std::size_t>(elements) * sizeof(T));
}

template <class T>
void pad_rows(const RowPlan& plan, const T* src, T* dst) {
  parallel_for(plan.dst_rows, [&](int64_t row) {
    T* out = dst;
    const T* in = src;
    bool outside = false;
    int64_t lanes = plan.block;
    for (std::size_t d = plan.outer.size(); d-- > 0;) {
      const OuterAxis& axis = plan.outer[d];
      const auto extent = static_cast<int64_t>(axis.source.size()), index = row % extent;
      row /= extent;
      const int64_t from = axis.source[static_cast<std::size_t>(index)];
      out += index * axis.dst_stride;
      if (from == kOutside) {
        outside = true;
      } else {
        in += from * axis.src_stride;
      }
      if (d == plan.channel_axis && index + 1 == extent) lanes = plan.last_lanes;
    }
    const int64_t block = plan.block;
    const auto border = [&](int64_t begin, int64_t end) {
      for (int64_t w = begin; w < end; ++w) {
        const int64_t column = outside ? kOutside : plan.columns[static_cast<std::size_t>(w)];
        if (column == kOutside) {
          fill_run(out + w * block, lanes, plan.value);
          fill_run(out + w * block + lanes, block - lanes, 0.0F);
        } else {
          copy_pixels(in + column * block, out + w * block, block);
        }
      }
    };
    const Stretch& s = plan.stretch;
    if (outside || s.begin >= s.end) {
      border(0, plan.dst_columns);
      return;
    }
    border(0, s.begin);
    copy_pixels(in + (s.begin - s.shift) * block, out + s.begin * block, (s.end - s.begin) * block);
    border(s.end, plan.dst_columns);
  });
}

// Adds the diff_dst row `in` to the diff_src row `out`: the stretch as it lies, then what folds back from the border.
template <class To, class From>
void fold_padded_row(const RowPlan& plan, const From* in, To* out) {
  const Stretch& s = plan.stretch;
  const int64_t block = plan.block;
  const auto border = [&](int64_t begin, int64_t end) {
    for (int64_t w = begin; w < end; ++w) {
      const int64_t column = plan.columns[static_cast<std::size_t>(w)];
      if (column != kOutside) add_run(in + w * block, out + column * block, block);
    }
  };
  if (s.begin < s.end) {
    add_run(in + s.begin * block, out + (s.begin - s.shift) * block, (s.end - s.begin) * block);
    border(0, s.begin);
    border(s.end, plan.dst_columns);
  } else {
    border(0, plan.dst_columns);
  }
}

// `work` has room for a row of floats per thread where T is bf16: sums are in f32 and rounded once, but for rows that
// are copied and get a column or two added (few_columns).
template <class T>
void fold_padded_rows(const RowPlan& plan, const T* diff_dst, T* diff_src, float* work) {
  const Stretch& s = plan.stretch;
  const int64_t row_elements = plan.src_columns * plan.block;
  const bool whole = s.begin < s.end && s.begin - s.shift == 0 && s.end - s.begin == plan.src_columns;
  const bool few_columns = plan.dst_columns - (s.end - s.begin) <= 2;  // each element is rounded at most twice more
  parallel_for(plan.src_rows, [&](int64_t item) {
    // The row's indices are found anew for each row of diff_dst that shows it: there is one of these, mostly.
    T* out = diff_src;
    int64_t shown = 1, rest = item;
    for (std::size_t d = plan.outer.size(); d-- > 0;) {
      const OuterAxis& axis = plan.outer[d];
      const auto extent = static_cast<int64_t>(axis.shown_at.size()), index = rest % extent;
      rest /= extent;
      out += index * axis.src_stride;
      shown *= static_cast<int64_t>(axis.shown_at[static_cast<std::size_t>(index)].size());
    }
    const auto row_shown_at = [&](int64_t k) {
      const T* in = diff_dst;
      int64_t left = item;
      for (std::size_t d = plan.outer.size(); d-- > 0;) {
        const OuterAxis& axis = plan.outer[d];
        const auto extent = static_cast<int64_t>(axis.shown_at.size());
        const Dims& at = axis.shown_at[static_cast<std::size_t>(left % extent)];
        const auto count = static_cast<int64_t>(at.size());
        left /= extent;
        in += at[static_cast<std::size_t>(k % count)] * axis.dst_stride;
        k /= count;
      }
      return in;
    };
    if (shown == 1 && whole && few_columns) {
      const T* in = row_shown_at(0);
      copy_pixels(in + s.begin * plan.block, out, row_elements);
      for (int64_t w = s.begin > 0 ? 0 : s.end; w < plan.dst_columns; w = w + 1 == s.begin ? s.end : w + 1) {
        const int64_t column = plan.columns[static_cast<std::size_t>(w)];
        if (column != kOutside) add_run(in + w * plan.block, out + column * plan.block, plan.block);
      }
      return;
    }
    float* sum = nullptr;
    if constexpr (std::is_same_v<T, float>) {
      sum = out;
    } else {
      sum = work + omp_get_thread_num() * row_elements;
    }
    std::fill(sum, sum + row_elements, 0.0F);
    for (int64_t k = 0; k < shown; ++k) fold_padded_row(plan, row_shown_at(k), sum);
    if constexpr (!std::is_same_v<T, float>) narrow(sum, row_elements, out);
  });
}

bool pads_rows_and_columns_only(const Dims& pads) {
  return pads.size() == 8 && pads[0] == 0 && pads[1] == 0 && pads[4] == 0 && pads[5] == 0;
}

// Forward and gradient differ in which side is read; `small` is src's side, `large` is dst's.
template <bool kForward>
KernelPlan plan_by_rows(PlanContext& ctx, const Padding& padding) {
  const TensorType& small = kForward ? ctx.in(0) : ctx.out(0);
  const TensorType& large = kForward ? ctx.out(0) : ctx.in(0);
  const bool in_any_layout = pads_rows_and_columns_only(padding.pads) && is_viewable(ctx.src[0]);
  const MemoryDesc given = in_any_layout ? in_layout_of(ctx.src[0], ctx.in(0)) : plain(ctx.in(0));
  const MemoryDesc made = in_layout_of(given, ctx.out(0));
  require_float(small);
  const RowPlan rows = in_any_layout ? row_plan(padding, small.shape, large.shape, view_of(kForward ? given : made),
                                                view_of(kForward ? made : given))
                                     : row_plan(padding, small.shape, large.shape);
  KernelPlan result{.src = {given}, .dst = {made}, .implementation = "loop", .kernel = nullptr};
  if (!kForward && small.dtype == DType::bf16) {
    result.scratch_bytes =
        sizeof(float) * static_cast<std::size_t>(omp_get_max_threads() * rows.src_columns * rows.block);
  }
  with_element(small.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    result.kernel = loop_kernel([rows](const Addresses& at) {
      if constexpr (kForward) {
        pad_rows(rows, static_cast<const T*>(at.src[0]), static_cast<T*>(at.dst[0]));
      } else {
        fold_padded_rows(rows, static_cast<const T*>(at.src[0]), static_cast<T*>(at.dst[0]),
                         static_cast<float*>(at.scratch));
      }
    });
  });
  return result;
}

}  // namespace

KernelPlan plan_padding(PlanContext& ctx, const Padding& padding) { return plan_by_rows<true>(ctx, padding); }
KernelPlan plan_padding_gradient(PlanContext& ctx, const Padding& padding) { return plan_by_rows<false>(ctx, padding); }

}  // namespace hourglass::kernels
