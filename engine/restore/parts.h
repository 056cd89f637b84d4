// The parts of an image that is fitted part by part, where all of it at once would not fit into memory: rectangles that
// overlap, whose results are blended where they meet.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/restore/rectangle.h"
#include "engine/restore/tiles.h"

namespace hourglass {

// In pixels: half of the way over which two parts are blended, and how far each goes beyond what it gives.
inline constexpr int64_t kPartRamp = 16, kPartMargin = 32;
// Of a part, without what it shares with others.
inline constexpr int64_t kLeastPart = 128;

class Parts {
 public:
  // side: the longest of a part without what it shares with others, kLeastPart or more. Parts begin at multiples of
  // `unit`, and end there or with the image.
  Parts(int64_t width, int64_t height, int64_t side, int64_t unit);

  // They are numbered row by row.
  [[nodiscard]] int count() const { return static_cast<int>(rows_.size() * columns_.size()); }
  [[nodiscard]] Rectangle rectangle(int index) const;
  // The number of the largest: those at the border are smaller.
  [[nodiscard]] int largest() const;
  // Adds a part's pixels, planar, times their weights to the sum, planar and of the image's size, and the weights to
  // `cover`, of one channel. The weights of all parts together are 1.
  void add(int index, std::span<const float> pixels, std::span<float> sum, std::span<float> cover) const;

 private:
  [[nodiscard]] const TileSpan& row(int index) const;
  [[nodiscard]] const TileSpan& column(int index) const;

  int64_t width_, height_;
  std::vector<TileSpan> rows_, columns_;
};

}  // namespace hourglass
