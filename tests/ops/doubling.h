// Axes that Resize makes twice as long, and windows of a convolution on them.
#pragma once

#include <string>
#include <vector>

#include "ops/geometry/resize_taps.h"
#include "ops/geometry/window.h"

namespace hourglass::kernels {

inline std::vector<TapList> doubling(int64_t extent, const char* mode, const char* coordinates = "half_pixel") {
  Attrs attrs;
  for (const AttrSpec& spec : resize_attrs("half_pixel", "round_prefer_floor", {})) {
    if (spec.default_value) attrs.set(spec.name, *spec.default_value);
  }
  attrs.set("mode", std::string(mode));
  attrs.set("coordinate_transformation_mode", std::string(coordinates));
  attrs.set("scales", std::vector<double>{1, 1, 2, 2});
  return taps_of_axis(attrs, {1, 1, extent, extent}, 2);
}

inline WindowAxis window(int64_t extent, int64_t kernel) {
  return {.src = 2 * extent, .dst = 2 * extent, .kernel = kernel, .pad_begin = kernel / 2, .pad_end = kernel / 2};
}

}  // namespace hourglass::kernels
