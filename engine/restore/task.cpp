#include "engine/restore/task.h"

#include <cmath>

namespace hourglass {

Finished Task::finish(Image average, int levels, const Advance& /*advance*/) const {
  clamp(average);
  for (float& value : average.pixels) {
    value = std::round(value * static_cast<float>(levels)) / static_cast<float>(levels);
  }
  return {.image = std::move(average), .cells = {}};
}

}  // namespace hourglass
