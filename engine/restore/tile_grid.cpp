#include "engine/restore/tile_grid.h"

#include <algorithm>

#include "graph/error.h"

namespace hourglass {

TileGrid::TileGrid(int64_t width, int64_t height, int64_t side, int64_t unit) : width_(width), height_(height) {
  if (side < kLeastTile) fail("tiles of {0}x{0} pixels are too small: the least are {1}x{1}", side, kLeastTile);
  const TileOptions options{.side = side, .unit = unit, .margin = kTileMargin, .ramp = kTileRamp};
  rows_ = tile_spans(height, options);
  columns_ = tile_spans(width, options);
}

const TileSpan& TileGrid::row(int index) const { return rows_[static_cast<std::size_t>(index) / columns_.size()]; }
const TileSpan& TileGrid::column(int index) const {
  return columns_[static_cast<std::size_t>(index) % columns_.size()];
}

int TileGrid::largest() const {
  const auto longest = [](const std::vector<TileSpan>& spans) {
    const auto length = [](const TileSpan& span) { return span.last - span.first; };
    return std::max_element(spans.begin(), spans.end(),
                            [&](const TileSpan& a, const TileSpan& b) { return length(a) < length(b); }) -
           spans.begin();
  };
  return static_cast<int>(longest(rows_) * static_cast<int64_t>(columns_.size()) + longest(columns_));
}

Rectangle TileGrid::rectangle(int index) const {
  const TileSpan &y = row(index), &x = column(index);
  return {.x = x.first, .y = y.first, .width = x.last - x.first, .height = y.last - y.first};
}

void TileGrid::add(int index, std::span<const float> pixels, std::span<float> sum, std::span<float> cover) const {
  const TileSpan &rows = row(index), &columns = column(index);
  const int64_t width = columns.last - columns.first;
  std::vector<float> across(static_cast<std::size_t>(width));
  for (int64_t x = 0; x < width; ++x) across[static_cast<std::size_t>(x)] = columns.weight(columns.first + x);
  const float* from = pixels.data();
  const auto planes = static_cast<int64_t>(sum.size()) / (width_ * height_);
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t y = rows.first; y < rows.last; ++y, from += width) {
      const float down = rows.weight(y);
      float* to = sum.data() + (plane * height_ + y) * width_ + columns.first;
      float* covered = cover.data() + y * width_ + columns.first;
      for (int64_t x = 0; x < width; ++x) {
        const float weight = down * across[static_cast<std::size_t>(x)];
        to[x] += weight * from[x];
        if (plane == 0) covered[x] += weight;
      }
    }
  }
}

}  // namespace hourglass
