#include "ops/convolution/upsampled/blur_axis.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace hourglass::detail {
namespace {

constexpr double kRounding = 1e-6;

TapList difference(const TapList& a, const TapList& b) {
  std::map<int64_t, double> weights;
  for (const auto& [element, weight] : a) weights[element] += weight;
  for (const auto& [element, weight] : b) weights[element] -= weight;
  std::erase_if(weights, [](const auto& entry) { return std::abs(entry.second) <= kRounding; });
  return {weights.begin(), weights.end()};
}

}  // namespace

std::optional<StretchedAxis> stretched_axis(const WindowAxis& window, Border border, const std::vector<TapList>& resize,
                                            int64_t extent) {
  constexpr int64_t kFewest = 8;
  const bool fits = window.kernel == 3 && window.stride == 1 && window.dilation == 1 && window.pad_begin == 1 &&
                    window.pad_end == 1 && window.src == 2 * extent && window.dst == 2 * extent && extent >= kFewest;
  if (!fits) return std::nullopt;

  StretchedAxis axis{.extent = extent};
  const int64_t middle = extent / 2;
  for (int64_t phase = 0; phase < 2; ++phase) {
    for (const auto& [element, weight] : resize[static_cast<std::size_t>(2 * middle + phase)]) {
      const int64_t place = 2 + 2 * (element - middle) - phase;
      if (weight == 0) continue;
      if (place < 0 || place > 3) return std::nullopt;
      axis.blur[static_cast<std::size_t>(place)] += static_cast<float>(weight);
    }
  }
  for (int64_t position = -1; position <= 2 * extent; ++position) {
    const int64_t from = border_source(border, position, 2 * extent);
    axis.padded.push_back(from == kOutside ? TapList() : resize[static_cast<std::size_t>(from)]);
    TapList& made = axis.blurred.emplace_back();
    for (int64_t d = -2; d <= 1; ++d) {
      if ((position + d) % 2 != 0) continue;
      const int64_t element = std::clamp<int64_t>((position + d) / 2, 0, extent - 1);
      made.emplace_back(element, axis.blur[static_cast<std::size_t>(2 + d)]);
    }
    const bool inside = position >= 0 && position < 2 * extent;
    if (inside && !difference(axis.padded.back(), made).empty()) return std::nullopt;
  }
  axis.missing = {difference(axis.padded.front(), axis.blurred.front()),
                  difference(axis.padded.back(), axis.blurred.back())};
  return axis;
}

}  // namespace hourglass::detail
