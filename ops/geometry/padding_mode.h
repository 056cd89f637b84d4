// Padding modes, as of ONNX's Pad: which of the image's own pixels stands at a position outside of the image (reflect,
// edge, wrap), or a constant.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "graph/error.h"

namespace hourglass::kernels {

enum class PaddingMode : uint8_t { constant, reflect, edge, wrap };

// From ONNX's name, as in Pad's `mode`.
inline PaddingMode padding_mode_of(std::string_view mode) {
  if (mode == "constant") return PaddingMode::constant;
  if (mode == "reflect") return PaddingMode::reflect;
  if (mode == "edge") return PaddingMode::edge;
  if (mode == "wrap") return PaddingMode::wrap;
  fail("mode is '{}', expected constant, reflect, edge or wrap", mode);
}

inline constexpr int64_t kOutside = -1;  // a constant stands there

// The position in [0, extent) that the padded position `at` shows, or kOutside. Reflection mirrors once, about the
// border element.
inline int64_t border_source(PaddingMode border, int64_t at, int64_t extent) {
  if (at >= 0 && at < extent) return at;
  switch (border) {
    case PaddingMode::constant: break;
    case PaddingMode::edge: return std::clamp<int64_t>(at, 0, extent - 1);
    case PaddingMode::wrap: return (at % extent + extent) % extent;
    case PaddingMode::reflect: return at < 0 ? -at : 2 * (extent - 1) - at;
  }
  return kOutside;
}

// Throws Error when an axis of `extent` elements can't be padded so.
inline void check_padding(PaddingMode border, int64_t begin, int64_t end, int64_t extent, int axis) {
  if (border == PaddingMode::reflect && (begin >= extent || end >= extent) && (begin > 0 || end > 0)) {
    fail("axis {} has {} elements: reflection can pad it by {} at most, {} is asked for", axis, extent, extent - 1,
         std::max(begin, end));
  }
  if (border != PaddingMode::constant && extent == 0 && (begin > 0 || end > 0)) {
    fail("axis {} has no elements to pad from", axis);
  }
}

}  // namespace hourglass::kernels
