#include "engine/restore/tiles.h"

#include "graph/error.h"

namespace hourglass {

std::vector<TileSpan> tile_spans(int64_t length, const TileOptions& options) {
  const int64_t side = options.side, unit = options.unit, ramp = options.ramp;
  if (ramp < 1 || options.margin < ramp || side < 2 * ramp + unit) {
    fail("tiles of {} pixels can't be blended over {} with a margin of {}", side, 2 * ramp, options.margin);
  }
  // A tile of a unit less than an equal part must still hold two ramps.
  const int64_t most = std::max<int64_t>(1, length / (2 * ramp + unit));
  const int64_t count = std::min((length + side - 1) / side, most), margin = (options.margin + unit - 1) / unit * unit;
  const auto border = [&](int64_t index) { return index == count ? length : length * index / count / unit * unit; };
  std::vector<TileSpan> spans;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t from = border(i), to = border(i + 1);
    spans.push_back({.first = std::max<int64_t>(0, from - margin),
                     .from = from,
                     .to = to,
                     .last = std::min(length, to + margin),
                     .ramp = ramp});
  }
  return spans;
}

}  // namespace hourglass
