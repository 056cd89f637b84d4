// The slices of a list, grouped by the slice of a tensor that they are added to or replace: the kernels of GatherGrad,
// GatherNDGrad and ScatterND. Each slice of the tensor is one thread's, and its group is in the order of the list, so
// sums do not depend on the threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "graph/shape.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"

namespace hourglass::kernels {

struct SliceGroup {
  int64_t target;          // slice of the tensor
  std::size_t begin, end;  // of GroupedSlices::order
};

struct GroupedSlices {
  int64_t inner = 1;  // elements of a slice
  Dims order;         // slices of the list, group by group
  std::vector<SliceGroup> groups;
};

// Slice i of the list belongs to slice targets[i] of the tensor.
inline GroupedSlices group_slices(const Dims& targets, int64_t inner) {
  GroupedSlices result{.inner = inner, .order = Dims(targets.size()), .groups = {}};
  const auto target = [&](int64_t slice) { return targets[static_cast<std::size_t>(slice)]; };
  std::iota(result.order.begin(), result.order.end(), 0);
  std::stable_sort(result.order.begin(), result.order.end(),
                   [&](int64_t a, int64_t b) { return target(a) < target(b); });
  for (std::size_t i = 0; i < result.order.size(); ++i) {
    const int64_t at = target(result.order[i]);
    if (result.groups.empty() || result.groups.back().target != at) result.groups.push_back({at, i, i});
    result.groups.back().end = i + 1;
  }
  return result;
}

constexpr int64_t kSliceBlock = 1024;

// body(slice, first, count) for slices [0, slices), in blocks of their elements.
template <typename Body>
void for_slice_blocks(int64_t slices, int64_t inner, const Body& body) {
  const int64_t blocks = (inner + kSliceBlock - 1) / kSliceBlock;
  parallel_for(slices * blocks, [&](int64_t i) {
    const int64_t first = i % blocks * kSliceBlock;
    body(i / blocks, first, std::min(kSliceBlock, inner - first));
  });
}

// dst += the slices of the list, for `repeats` tensors of `slices` slices one after the other, each with a list of its
// own. Sums are in f32, and rounded once.
template <class T>
void add_slices(const GroupedSlices& grouped, int64_t repeats, int64_t slices, const T* list, T* dst) {
  const auto groups = static_cast<int64_t>(grouped.groups.size()), listed = static_cast<int64_t>(grouped.order.size());
  for_slice_blocks(repeats * groups, grouped.inner, [&](int64_t i, int64_t first, int64_t count) {
    const int64_t repeat = i / groups;
    const SliceGroup& group = grouped.groups[static_cast<std::size_t>(i % groups)];
    T* to = dst + (repeat * slices + group.target) * grouped.inner + first;
    float sum[kSliceBlock];
    widen(to, count, sum);
    for (std::size_t k = group.begin; k < group.end; ++k) {
      add_run(list + (repeat * listed + grouped.order[k]) * grouped.inner + first, sum, count);
    }
    narrow(sum, count, to);
  });
}

}  // namespace hourglass::kernels
