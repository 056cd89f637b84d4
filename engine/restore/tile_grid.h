// The tiles of an image that is fitted tile by tile, where all of it at once would not fit into memory: rectangles that
// overlap, whose results are blended where they meet.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/restore/rectangle.h"
#include "engine/restore/tiles.h"

namespace hourglass {

// In pixels: half of the way over which two tiles are blended, and how far each goes beyond what it gives.
inline constexpr int64_t kTileRamp = 16, kTileMargin = 32;
// The side of a tile, without what it shares with others.
inline constexpr int64_t kLeastTile = 128;

class TileGrid {
 public:
  // side: the longest of a tile without what it shares with others, kLeastTile or more. Tiles begin at multiples of
  // `unit`, and end there or with the image.
  TileGrid(int64_t width, int64_t height, int64_t side, int64_t unit);

  // They are numbered row by row.
  [[nodiscard]] int count() const { return static_cast<int>(rows_.size() * columns_.size()); }
  [[nodiscard]] Rectangle rectangle(int index) const;
  // The number of the largest: those at the border are smaller.
  [[nodiscard]] int largest() const;
  // Adds a tile's pixels, planar, times their weights to the sum, planar and of the image's size, and the weights to
  // `cover`, of one channel. The weights of all tiles together are 1.
  void add(int index, std::span<const float> pixels, std::span<float> sum, std::span<float> cover) const;

 private:
  [[nodiscard]] const TileSpan& row(int index) const;
  [[nodiscard]] const TileSpan& column(int index) const;

  int64_t width_, height_;
  std::vector<TileSpan> rows_, columns_;
};

}  // namespace hourglass
