// How a length is cut into tiles that overlap and are blended where they meet: one direction of a grid of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace hourglass {

// A tile has the pixels [first, last), and gives [from, to) besides a ramp around either end that is not the length's.
struct TileSpan {
  int64_t first = 0, from = 0, to = 0, last = 0;
  int64_t ramp = 0;  // half of its length

  // How much of the pixel is this tile's, from 0 to 1; of all tiles together 1.
  [[nodiscard]] float weight(int64_t at) const {
    const auto inside = [&](int64_t distance) {
      return std::clamp(0.5F + static_cast<float>(distance) / static_cast<float>(2 * ramp), 0.0F, 1.0F);
    };
    return (from == first ? 1 : inside(at - from)) * (to == last ? 1 : inside(to - at));
  }
};

struct TileOptions {
  int64_t side = 0;    // at most, without what it shares with others; at least two ramps and a unit
  int64_t unit = 1;    // tiles begin and end at multiples of this, or with the length
  int64_t margin = 0;  // how far a tile goes beyond what it gives, rounded up to units; at least the ramp
  int64_t ramp = 0;    // above 0: half of the way over which two tiles are blended
};

// As few tiles as cover the length, as nearly equal as units allow.
std::vector<TileSpan> tile_spans(int64_t length, const TileOptions& options);

}  // namespace hourglass
