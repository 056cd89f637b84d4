#include "ops/geometry/window_along.h"

#include <utility>

#include "graph/error.h"

namespace hourglass::kernels {

Attrs window_along(const Attrs& attrs, std::size_t of, std::size_t h, std::size_t w) {
  Attrs result = attrs;
  for (const auto& [name, neutral] : {std::pair("kernel_shape", 1), std::pair("strides", 1), std::pair("dilations", 1),
                                      std::pair("pads", 0), std::pair("output_padding", 0)}) {
    if (!attrs.has(name) || attrs.ints(name).empty()) continue;
    const Dims& values = attrs.ints(name);
    const std::size_t sides = std::string_view(name) == "pads" ? 2 : 1;
    if (values.size() != sides * of) {
      fail("{} has {} values, {} expected for {} spatial dimension(s)", name, values.size(), sides * of, of);
    }
    Dims chosen;
    for (std::size_t side = 0; side < sides; ++side) {
      for (const std::size_t axis : {h, w}) chosen.push_back(axis == kNoAxis ? neutral : values[side * of + axis]);
    }
    result.set(name, std::move(chosen));
  }
  return result;
}

}  // namespace hourglass::kernels
