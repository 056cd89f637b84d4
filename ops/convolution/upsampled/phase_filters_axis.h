// An axis that is resized to twice its length and then convolved, as one map: both are linear, so an output is a sum
// over elements of the short axis, with weights that the filter's are mixed to. Outputs 2i and 2i + 1 see elements i +
// low to i + low + reach - 1, and but for those at the ends every even output has the same mixture, and every odd one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/geometry/padding_mode.h"
#include "ops/geometry/taps.h"
#include "ops/geometry/window.h"

namespace hourglass::detail {

struct DoubledAxis {
  int64_t low = 0, reach = 1;
  // [tap of the filter][element of the reach]. The first two are those of even and odd outputs; elements outside of the
  // axis repeat its first or last.
  std::vector<std::vector<float>> mixtures;
  std::vector<int64_t> mixture_of;  // of each output

  // Outputs with a mixture of their own.
  [[nodiscard]] std::vector<int64_t> exceptions() const;
};

// `window` and `border` are those of the resized axis, and `resize` says what its elements are made of. Absent where it
// is not that simple, or no cheaper.
std::optional<DoubledAxis> doubled_axis(const WindowAxis& window, Border border, const std::vector<TapList>& resize,
                                        int64_t extent);

}  // namespace hourglass::detail
