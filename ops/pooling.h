// What average and maximum pooling share: the choice between oneDNN and our own loops, and the loops' frame.
//
// oneDNN's pooling runs where it has an optimised kernel. It has none for dilated windows, and no words for the
// averages of ceil_mode's overhanging windows: those run in loops over kernels::View, one call per row.
#pragma once

#include <string_view>

#include "ops/geometry/window.h"
#include "ops/loops/parallel.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

// A row function works on one row of one channel group; channels lie side by side in pieces of at most this many.
inline constexpr int64_t kPoolLanes = 64;

// Row h of channel group g of image n.
struct PoolRow {
  int64_t n, g, h;
};

// body(PoolRow) for every row of every channel group of v.
template <typename Body>
void for_each_row(const View& v, const Body& body) {
  parallel_for(v.n * v.groups * v.h,
               [&](int64_t i) { body(PoolRow{.n = i / (v.h * v.groups), .g = i / v.h % v.groups, .h = i % v.h}); });
}

inline PoolingSpec pooling_spec(dnnl::algorithm algorithm, const Window& window, const MemoryDesc& src,
                                const MemoryDesc& dst) {
  return {.algorithm = algorithm,
          .src = src,
          .dst = dst,
          .kernel = window.kernel(),
          .strides = window.strides(),
          .dilations = window.dilations(),
          .padding_l = window.padding_l(),
          .padding_r = window.padding_r()};
}

// oneDNN has an implementation, and it is not its plain reference.
template <typename PrimitiveDesc>
bool is_optimised(const PrimitiveDesc& desc) {
  return desc && !std::string_view(desc.impl_info_str()).starts_with("ref");
}

}  // namespace hourglass::kernels
