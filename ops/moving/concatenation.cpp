#include "ops/moving/concatenation.h"

#include <algorithm>
#include <array>
#include <vector>

#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/moved_element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {
namespace {

// A row-major tensor as an activation whose height is the axis: outer x 1 x axis x inner.
View plain_view(const Shape& shape, int axis) {
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  const int64_t along = shape[axis];
  return {.n = outer,
          .c = 1,
          .h = along,
          .w = inner,
          .block = 1,
          .groups = 1,
          .stride_n = along * inner,
          .stride_g = along * inner,
          .stride_h = inner,
          .stride_w = 1};
}

// A tensor and its slices along an axis, each with a view; `axis` is that of the views.
struct Slices {
  std::vector<MemoryDesc> slice_descs;
  MemoryDesc whole_desc;
  View whole;
  std::vector<View> views;
  std::size_t axis = 0;

  // The box of slice i, from `start` on in the whole, for a copy from the whole to the slice or (to_whole) back.
  [[nodiscard]] Box box(std::size_t i, int64_t start, bool to_whole) const {
    Box box{.extent = {views[i].n, views[i].c, views[i].h, views[i].w}};
    (to_whole ? box.dst_start : box.src_start)[axis] = start;
    return box;
  }
  [[nodiscard]] int64_t extent(std::size_t i) const {
    const View& v = views[i];
    return std::array<int64_t, 4>{v.n, v.c, v.h, v.w}[axis];
  }
};

Slices slices_of(const MemoryDesc& whole_desc, const TensorType& whole, const std::vector<MemoryDesc>& slice_descs,
                 const std::vector<TensorType>& types, int axis) {
  const bool viewable = whole.shape.rank() == 4 && is_viewable(whole_desc) &&
                        std::all_of(slice_descs.begin(), slice_descs.end(), is_viewable);
  Slices result;
  result.axis = viewable ? static_cast<std::size_t>(axis) : 2;
  result.whole_desc = viewable ? whole_desc : plain(whole);
  result.whole = viewable ? view_of(whole_desc) : plain_view(whole.shape, axis);
  for (std::size_t i = 0; i < types.size(); ++i) {
    result.slice_descs.push_back(viewable ? slice_descs[i] : plain(types[i]));
    result.views.push_back(viewable ? view_of(slice_descs[i]) : plain_view(types[i].shape, axis));
  }
  return result;
}

// Channels of channels-last images side by side, both ways: every pixel of the whole is touched once.
bool joins_channels(const Slices& slices) {
  const auto is_channels_last = [](const View& v) { return v.is_channels_last(); };
  return slices.axis == 1 && slices.whole.is_channels_last() &&
         std::all_of(slices.views.begin(), slices.views.end(), is_channels_last);
}

// copy(slice, offset in it, offset in the whole, pixels) for some pixels of every slice in turn.
template <typename Copy>
void for_pixel_blocks(const Slices& slices, const Copy& copy) {
  constexpr int64_t kBlock = 64;
  const View& whole = slices.whole;
  parallel_for(whole.n * whole.h, [&](int64_t row) {
    const int64_t n = row / whole.h, h = row % whole.h;
    for (int64_t w = 0; w < whole.w; w += kBlock) {
      int64_t channel = 0;
      for (std::size_t i = 0; i < slices.views.size(); ++i) {
        const View& slice = slices.views[i];
        copy(i, slice.offset(n, 0, h, w), whole.offset(n, 0, h, w) + channel, std::min(kBlock, whole.w - w));
        channel += slice.c;
      }
    }
  });
}

}  // namespace

KernelPlan plan_concatenation(PlanContext& ctx, int axis) {
  // The largest slice sets the layout; the others are copied from whatever they have.
  std::size_t largest = 0;
  std::vector<TensorType> types;
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) {
    types.push_back(ctx.in(i));
    if (types[i].shape.elements() > types[largest].shape.elements()) largest = i;
  }
  const Slices slices = slices_of(in_layout_of(ctx.src[largest], ctx.out()), ctx.out(), ctx.src, types, axis);
  KernelPlan plan{.src = slices.slice_descs, .dst = {slices.whole_desc}, .implementation = "loop", .kernel = nullptr};
  with_moved_element(plan.dst[0], [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([slices](const Addresses& at) {
      auto* dst = static_cast<T*>(at.dst[0]);
      if (joins_channels(slices)) {
        for_pixel_blocks(slices, [&](std::size_t i, int64_t slice, int64_t whole, int64_t pixels) {
          const int64_t lanes = slices.views[i].c;
          copy_lanes(static_cast<const T*>(at.src[i]) + slice, lanes, dst + whole, slices.whole.c, lanes, pixels);
        });
        return;
      }
      int64_t start = 0;
      for (std::size_t i = 0; i < slices.views.size(); ++i) {
        copy_box(slices.views[i], static_cast<const T*>(at.src[i]), slices.whole, dst, slices.box(i, start, true));
        start += slices.extent(i);
      }
      zero_padding(slices.whole, dst);
    });
  });
  return plan;
}

KernelPlan plan_split(PlanContext& ctx, int axis) {
  std::vector<TensorType> types;
  std::vector<MemoryDesc> descs;
  for (std::size_t i = 0; i < ctx.node.outputs.size(); ++i) {
    types.push_back(ctx.out(i));
    descs.push_back(in_layout_of(ctx.src[0], types.back()));
  }
  const Slices slices = slices_of(ctx.src[0], ctx.in(0), descs, types, axis);
  KernelPlan plan{.src = {slices.whole_desc}, .dst = slices.slice_descs, .implementation = "loop", .kernel = nullptr};
  with_moved_element(plan.dst[0], [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([slices](const Addresses& at) {
      if (joins_channels(slices)) {
        const auto* src = static_cast<const T*>(at.src[0]);
        for_pixel_blocks(slices, [&](std::size_t i, int64_t slice, int64_t whole, int64_t pixels) {
          const int64_t lanes = slices.views[i].c;
          copy_lanes(src + whole, slices.whole.c, static_cast<T*>(at.dst[i]) + slice, lanes, lanes, pixels);
        });
        return;
      }
      int64_t start = 0;
      for (std::size_t i = 0; i < slices.views.size(); ++i) {
        auto* dst = static_cast<T*>(at.dst[i]);
        copy_box(slices.whole, static_cast<const T*>(at.src[0]), slices.views[i], dst, slices.box(i, start, false));
        zero_padding(slices.views[i], dst);
        start += slices.extent(i);
      }
    });
  });
  return plan;
}

}  // namespace hourglass::kernels
