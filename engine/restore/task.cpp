#include "engine/restore/task.h"

#include <cmath>

namespace hourglass {

Advance watched(const Advance& advance, bool& ended_early) {
  constexpr double kAll = 1 - 1e-6;  // what a sum of shares is when nothing is left
  return [&](double done) {
    const bool go_on = !advance || advance(done);
    ended_early = ended_early || (!go_on && done < kAll);
    return go_on;
  };
}

Finished Task::finish(Image average, int levels, const Advance& /*advance*/) const {
  clamp(average);
  for (float& value : average.pixels) {
    value = std::round(value * static_cast<float>(levels)) / static_cast<float>(levels);
  }
  return {.image = std::move(average), .cells = {}};
}

}  // namespace hourglass
