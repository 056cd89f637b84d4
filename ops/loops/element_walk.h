// How elementwise kernels walk over a layout, in parallel: flat over all elements where the padding lanes of a blocked
// layout may be computed like the rest (f(0) = 0), else row by row, with the lanes zeroed again while the row is in the
// cache.
//
//   const MemoryDesc desc = elementwise_layout(ctx.src[0], ctx.in(0));
//   const ElementWalk walk(desc, f(0) == 0);
//   ... at run: walk.run(dst, [&](int64_t at, int64_t count) { row(src + at, dst + at, count); });
#pragma once

#include <algorithm>

#include "ops/loops/parallel.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

// Whether the layout rounds extents up, as blocked layouts do.
bool has_padding(const MemoryDesc& desc);

// `desc` if ElementWalk can walk it, else row-major.
MemoryDesc elementwise_layout(const MemoryDesc& desc, const TensorType& type);

// Throws Error unless every given input and every output is f32 or bf16, and all of one type.
void require_one_float_type(const PlanContext& ctx);

class ElementWalk {
 public:
  // zero_stays: the function maps zeros to zero.
  ElementWalk(const MemoryDesc& desc, bool zero_stays);

  // body(offset, count), in parallel; together the calls cover every element of the layout once.
  template <class T, typename Body>
  void run(T* dst, const Body& body) const {
    if (flat_) {
      parallel_ranges(count_, kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; at += kGrain) body(at, std::min(kGrain, end - at));
      });
      return;
    }
    const View& v = view_;
    parallel_for(v.n * v.groups * v.h, [&](int64_t i) {
      const int64_t g = i / v.h % v.groups;
      const int64_t at = v.offset(i / (v.h * v.groups), g, i % v.h, 0);
      body(at, v.w * v.block);
      zero_lanes(dst + at, v.w, v.block, v.lanes(g));
    });
  }

  // Zeroes lanes [lanes, block) of `pixels` pixels.
  template <class T>
  static void zero_lanes(T* row, int64_t pixels, int64_t block, int64_t lanes) {
    if (lanes == block) return;
    for (int64_t w = 0; w < pixels; ++w) {
      std::memset(row + w * block + lanes, 0, static_cast<std::size_t>(block - lanes) * sizeof(T));
    }
  }

 private:
  static constexpr int64_t kGrain = 4096;
  int64_t count_;
  bool flat_;
  View view_;
};

}  // namespace hourglass::kernels
