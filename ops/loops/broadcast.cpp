#include "ops/loops/broadcast.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "graph/error.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/stored_element.h"
#include "ops/memory/onednn.h"

namespace hourglass::kernels {
namespace {

constexpr std::size_t kMostDims = 2 * DNNL_MAX_NDIMS;  // a layout's axes, and its blocks

template <class T>
auto value_at(const T* p) {
  if constexpr (std::is_integral_v<T>) {
    return int64_t{*p};
  } else {
    return load(p);
  }
}

// Writes elements [first, first + count) of the loop nest, in its order, to dst.
template <class T, class To>
HG_CLONES void read_sequence(const StridedLoop<1>& nest, const T* src, int64_t first, int64_t count, To* dst) {
  if (nest.elements() == 0) return;
  const Dims &extents = nest.extents, &strides = nest.strides[0];
  const std::size_t last = extents.size() - 1;
  const int64_t step = strides[last];
  std::array<int64_t, kMostDims> index;
  for (std::size_t d = last + 1; d-- > 0; first /= extents[d]) {
    index[d] = first % extents[d];
    src += index[d] * strides[d];
  }
  while (count > 0) {
    // A run along the innermost dimension.
    const int64_t run = std::min(count, extents[last] - index[last]);
    if (step == 0) {
      const To value = value_at(src);
      for (int64_t i = 0; i < run; ++i) dst[i] = value;
    } else if (step == 1) {
      for (int64_t i = 0; i < run; ++i) dst[i] = value_at(src + i);
    } else {
      for (int64_t i = 0; i < run; ++i) dst[i] = value_at(src + i * step);
    }
    dst += run;
    count -= run;
    src -= index[last] * step;
    index[last] = 0;
    for (std::size_t d = last; d-- > 0;) {
      src += strides[d];
      if (++index[d] < extents[d]) break;
      src -= extents[d] * strides[d];
      index[d] = 0;
    }
  }
}

}  // namespace

Dims broadcast_strides(const Shape& shape, const Shape& full) {
  const Dims own = shape.strides();
  Dims strides(static_cast<std::size_t>(full.rank()), 0);
  const int shift = full.rank() - shape.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1) strides[static_cast<std::size_t>(i + shift)] = own[static_cast<std::size_t>(i)];
  }
  return strides;
}

// Before opset 7, `axis` placed b's dimensions within a's, and broadcasting had to be requested. Where that agrees with
// numpy's rule, the attributes are dropped.
void normalize_broadcast(NormalizeContext& ctx) {
  ctx.attrs.erase("consumed_inputs");
  if (ctx.opset >= 7) return;
  if (ctx.attrs.has("axis") && ctx.inputs.size() == 2) {
    const int rank_a = ctx.graph.shape(ctx.inputs[0]).rank(), rank_b = ctx.graph.shape(ctx.inputs[1]).rank();
    const int64_t axis = ctx.attrs.integer("axis");
    if ((axis < 0 ? axis + rank_a : axis) != rank_a - rank_b) {
      fail("broadcasts along axis {} in the manner of opset {}, which is not numpy's: export with opset 7 or later",
           axis, ctx.opset);
    }
  }
  ctx.attrs.erase("axis");
  ctx.attrs.erase("broadcast");
}

// The loop nest has the layout's dimensions from the outermost to the innermost: the axes, then the inner blocks of
// those that are blocked.
BroadcastOperand::BroadcastOperand(const TensorType& operand, const Shape& full, const MemoryDesc& layout)
    : dtype_(operand.dtype) {
  const Blocking b = blocking_of(layout);
  const Dims strides = broadcast_strides(operand.shape, full);
  std::vector<std::size_t> axes(strides.size());
  std::iota(axes.begin(), axes.end(), 0);
  std::stable_sort(axes.begin(), axes.end(), [&](std::size_t i, std::size_t k) { return b.strides[i] > b.strides[k]; });
  Dims block(strides.size(), 1);  // per axis: the product of its remaining inner blocks
  for (std::size_t k = 0; k < b.inner_blocks.size(); ++k) {
    block[static_cast<std::size_t>(b.inner_axes[k])] *= b.inner_blocks[k];
  }
  const auto add = [&](std::size_t axis, int64_t extent) {
    nest_.extents.push_back(extent);
    nest_.strides[0].push_back(strides[axis] * block[axis]);
  };
  for (const std::size_t axis : axes) add(axis, full.dims()[axis] / block[axis]);
  for (std::size_t k = 0; k < b.inner_blocks.size(); ++k) {
    const auto axis = static_cast<std::size_t>(b.inner_axes[k]);
    block[axis] /= b.inner_blocks[k];
    add(axis, b.inner_blocks[k]);
  }
  nest_.collapse();
}

// After collapse() only the outermost dimension can repeat all the others.
int64_t BroadcastOperand::period() const {
  const int64_t times = nest_.strides[0][0] == 0 ? nest_.extents[0] : 1;
  return std::max<int64_t>(1, times == 0 ? 1 : nest_.elements() / times);
}

void BroadcastOperand::read(const void* operand, int64_t first, int64_t count, float* dst) const {
  with_element(dtype_ == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    read_sequence(nest_, static_cast<const T*>(operand), first, count, dst);
  });
}

void BroadcastOperand::read(const void* operand, int64_t first, int64_t count, int64_t* dst) const {
  with_stored_whole(dtype_, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    read_sequence(nest_, static_cast<const T*>(operand), first, count, dst);
  });
}

}  // namespace hourglass::kernels
