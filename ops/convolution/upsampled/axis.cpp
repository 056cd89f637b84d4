#include "ops/convolution/upsampled/axis.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace hourglass::kernels {
namespace {

// Weights that differ by less count as equal.
constexpr double kRounding = 1e-6;
// On an axis of fewer elements the ends would dominate.
constexpr int64_t kFewest = 8;

TapList difference(const TapList& a, const TapList& b) {
  std::map<int64_t, double> weights;
  for (const auto& [element, weight] : a) weights[element] += weight;
  for (const auto& [element, weight] : b) weights[element] -= weight;
  std::erase_if(weights, [](const auto& entry) { return std::abs(entry.second) <= kRounding; });
  return {weights.begin(), weights.end()};
}

// One output's mixture: for each tap of the filter, short elements and their weights.
using Mixture = std::vector<std::map<int64_t, double>>;

Mixture mixture_of_output(const WindowAxis& window, PaddingMode border, const std::vector<TapList>& resize,
                          int64_t output) {
  Mixture mixture(static_cast<std::size_t>(window.kernel));
  for (int64_t tap = 0; tap < window.kernel; ++tap) {
    const int64_t from = border_source(border, window.position(output, tap), window.src);
    if (from == kOutside) continue;
    for (const auto& [element, weight] : resize[static_cast<std::size_t>(from)]) {
      if (weight != 0) mixture[static_cast<std::size_t>(tap)][element] += weight;
    }
  }
  return mixture;
}

// The mixture `by` elements further, where elements outside of the axis repeat its first or last.
Mixture moved(const Mixture& mixture, int64_t by, int64_t extent) {
  Mixture result(mixture.size());
  for (std::size_t tap = 0; tap < mixture.size(); ++tap) {
    for (const auto& [element, weight] : mixture[tap]) {
      result[tap][std::clamp<int64_t>(element + by, 0, extent - 1)] += weight;
    }
  }
  return result;
}

bool are_alike(const Mixture& a, const Mixture& b) {
  for (std::size_t tap = 0; tap < a.size(); ++tap) {
    std::map<int64_t, double> difference = a[tap];
    for (const auto& [element, weight] : b[tap]) difference[element] -= weight;
    for (const auto& [element, weight] : difference) {
      if (std::abs(weight) > kRounding) return false;
    }
  }
  return true;
}

}  // namespace

std::optional<BlurAxis> blur_axis(const WindowAxis& window, PaddingMode border, const std::vector<TapList>& resize,
                                  int64_t extent) {
  const bool fits = window.kernel == 3 && window.stride == 1 && window.dilation == 1 && window.pad_begin == 1 &&
                    window.pad_end == 1 && window.src == 2 * extent && window.dst == 2 * extent && extent >= kFewest;
  if (!fits) return std::nullopt;

  BlurAxis axis{.extent = extent};
  const int64_t middle = extent / 2;
  for (int64_t phase = 0; phase < 2; ++phase) {
    for (const auto& [element, weight] : resize[static_cast<std::size_t>(2 * middle + phase)]) {
      const int64_t tap = 2 + 2 * (element - middle) - phase;
      if (weight == 0) continue;
      if (tap < 0 || tap > 3) return std::nullopt;
      axis.blur[static_cast<std::size_t>(tap)] += static_cast<float>(weight);
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

std::vector<int64_t> PhaseFiltersAxis::exceptions() const {
  std::vector<int64_t> outputs;
  for (std::size_t o = 0; o < mixture_of.size(); ++o) {
    if (mixture_of[o] > 1) outputs.push_back(static_cast<int64_t>(o));
  }
  return outputs;
}

std::optional<PhaseFiltersAxis> phase_filters_axis(const WindowAxis& window, PaddingMode border,
                                                   const std::vector<TapList>& resize, int64_t extent) {
  constexpr std::size_t kMostExceptions = 4;
  if (window.stride != 1 || window.src != 2 * extent || window.dst != 2 * extent || extent < kFewest) return {};
  const int64_t middle = extent / 2;
  Mixture inner[2];
  int64_t first = extent, last = -1;
  for (int64_t phase = 0; phase < 2; ++phase) {
    inner[phase] = mixture_of_output(window, border, resize, 2 * middle + phase);
    for (const auto& tap : inner[phase]) {
      if (tap.empty()) continue;
      first = std::min(first, tap.begin()->first);
      last = std::max(last, tap.rbegin()->first);
    }
  }
  PhaseFiltersAxis axis;
  axis.low = first - middle;
  axis.reach = last - first + 1;
  // A wider reach would take more products than it saves; and the mixtures of the middle must not touch the ends.
  if (axis.reach > window.kernel || axis.low > 0 || first <= 0 || last >= extent - 1) return {};

  const auto add = [&](const Mixture& mixture, int64_t begin) {
    std::vector<float> weights(static_cast<std::size_t>(window.kernel * axis.reach), 0.0F);
    for (std::size_t tap = 0; tap < mixture.size(); ++tap) {
      for (const auto& [element, weight] : mixture[tap]) {
        const int64_t at = element - begin;
        if (at < 0 || at >= axis.reach) return false;
        weights[tap * static_cast<std::size_t>(axis.reach) + static_cast<std::size_t>(at)] = static_cast<float>(weight);
      }
    }
    axis.mixtures.push_back(std::move(weights));
    return true;
  };
  for (const Mixture& mixture : inner) add(mixture, first);
  for (int64_t output = 0; output < 2 * extent; ++output) {
    const Mixture own = mixture_of_output(window, border, resize, output);
    const int64_t phase = output % 2, shift = output / 2 - middle;
    axis.mixture_of.push_back(phase);
    if (are_alike(own, moved(inner[phase], shift, extent))) continue;
    if (axis.mixtures.size() == 2 + kMostExceptions || !add(own, output / 2 + axis.low)) return {};
    axis.mixture_of.back() = static_cast<int64_t>(axis.mixtures.size()) - 1;
  }
  return axis;
}

}  // namespace hourglass::kernels
