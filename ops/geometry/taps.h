// Sparse linear maps along one axis: dst[o] = sum over t of weight[t][o] * src[index[t][o]].
//
// Resize is such a map along H after one along W; its gradient is both transposed. Every output has the same number of
// taps, of which surplus ones have weight 0; arrays are tap-major, so that a loop over outputs vectorises.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace hourglass::kernels {

// The (source index, weight) pairs of an output.
using TapList = std::vector<std::pair<int64_t, double>>;

// The transposed map, of a map with `src` source elements.
inline std::vector<TapList> transposed(const std::vector<TapList>& lists, int64_t src) {
  std::vector<TapList> result(static_cast<std::size_t>(src));
  for (std::size_t o = 0; o < lists.size(); ++o) {
    for (const auto& [i, w] : lists[o]) result[static_cast<std::size_t>(i)].emplace_back(static_cast<int64_t>(o), w);
  }
  return result;
}

// The composition outer(inner(x)).
inline std::vector<TapList> composed(const std::vector<TapList>& outer, const std::vector<TapList>& inner) {
  std::vector<TapList> result(outer.size());
  for (std::size_t o = 0; o < outer.size(); ++o) {
    for (const auto& [i, w] : outer[o]) {
      for (const auto& [j, v] : inner[static_cast<std::size_t>(i)]) result[o].emplace_back(j, w * v);
    }
  }
  return result;
}

struct Taps {
  int64_t src = 0, dst = 0;  // extents
  int64_t count = 0;         // taps per output
  std::vector<int32_t> index;
  std::vector<float> weight;

  // From one list of (index, weight) per output. Weights on the same index are added up.
  Taps(int64_t src_extent, std::vector<TapList> lists) : src(src_extent), dst(static_cast<int64_t>(lists.size())) {
    for (auto& list : lists) {
      std::sort(list.begin(), list.end());
      TapList merged;
      for (const auto& [i, w] : list) {
        if (!merged.empty() && merged.back().first == i) {
          merged.back().second += w;
        } else {
          merged.emplace_back(i, w);
        }
      }
      std::erase_if(merged, [](const auto& tap) { return tap.second == 0; });
      list = std::move(merged);
      count = std::max(count, static_cast<int64_t>(list.size()));
    }
    count = std::max<int64_t>(count, 1);
    index.assign(static_cast<std::size_t>(count * dst), 0);
    weight.assign(static_cast<std::size_t>(count * dst), 0);
    for (std::size_t o = 0; o < lists.size(); ++o) {
      for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t) {
        const std::size_t at = t * lists.size() + o;
        if (t < lists[o].size()) {
          index[at] = static_cast<int32_t>(lists[o][t].first);
          weight[at] = static_cast<float>(lists[o][t].second);
        } else if (!lists[o].empty()) {
          index[at] = static_cast<int32_t>(lists[o].back().first);  // weight 0 on what is read anyway
        }
      }
    }
  }

  [[nodiscard]] int64_t at(int64_t tap, int64_t o) const { return index[static_cast<std::size_t>(tap * dst + o)]; }
  [[nodiscard]] float weight_at(int64_t tap, int64_t o) const {
    return weight[static_cast<std::size_t>(tap * dst + o)];
  }
};

}  // namespace hourglass::kernels
