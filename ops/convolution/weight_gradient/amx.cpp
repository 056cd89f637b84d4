// Weight gradients by AMX tile instructions in bf16. Operand A is the source transposed, [channel][pixel]; all taps of
// a filter row lie one below the other in it, as copies shifted by a pixel, so that few channels of several taps fill
// one tile. Operand B is diff_dst in pairs of pixels. Where fewer tiles result, the operands are swapped and diff_dst
// is shifted instead.
#include "ops/convolution/weight_gradient/products.h"

#include <algorithm>

#include "ops/memory/scratch_layout.h"
#include "ops/simd/amx.h"

namespace hourglass::kernels {
namespace {

// Operand A: one row per channel, of pixels.
class AmxProducts final : public Products {
 public:
  AmxProducts(ProductSides sides, const AmxLoops& loops)
      : Products(with_fewer_tiles(std::move(sides)), "avx512_core_amx_bf16"),
        loops_(loops),
        row_taps_(row_taps_of(s_)),
        columns_(up(s_.right(), kAmxColumns)),
        width_(up(shifts_dst() ? s_.phase_width : s_.width, kAmxDepth)) {
    // An odd number of cache lines, so that the rows of a tile don't compete for one set of the cache.
    row_ = (up(width_ + s_.phase_width - s_.width, kAmxDepth) / kAmxDepth | 1) * kAmxDepth;
    for (int64_t phase = 0; phase < s_.phases; ++phase) {
      const bool leads = phase < row_taps_ && tap(phase).phase == phase && tap(phase).position == 0;
      phases_lead_ = phases_lead_ && leads;
    }
    rows_ = up(row_taps_ * s_.left(), kAmxColumns);
  }

  void begin() const override { loops_.begin(); }
  void end() const override { loops_.end(); }
  void add(const ProductRows& band, float* sums) const override {
    for (int64_t m = 0; m < rows_; m += 2 * kAmxColumns) {
      for (int64_t n = 0; n < columns_; n += 2 * kAmxColumns) {
        for (int64_t i = 0; i < taps() / row_taps_; ++i) add_tile(band, i, m, n, sums);
      }
    }
  }
  [[nodiscard]] int64_t sums_floats() const override { return taps() / row_taps_ * rows_ * columns_; }
  [[nodiscard]] int64_t sums_at(int64_t tap, int64_t left, int64_t right) const override {
    const int64_t row = tap % row_taps_ * s_.left() + left;
    return tile_at(tap / row_taps_, row, right) + row % kAmxColumns * kAmxColumns;
  }

 protected:
  [[nodiscard]] std::size_t left_bytes() const override {
    return bytes_of(std::max(shifts_dst() ? rows_ : 0, up(s_.left(), kAmxColumns)) * row_ / 2);
  }
  // With room for the zero rows after the last channel of the phase that is packed last.
  [[nodiscard]] std::size_t left_row_bytes() const override {
    return bytes_of(std::max(rows_, begin_of(s_.phases - 1) + up(s_.left(), kAmxColumns)) * row_ / 2);
  }
  [[nodiscard]] std::size_t right_bytes() const override { return bytes_of(width_ / 2 * columns_); }
  [[nodiscard]] int64_t left_pixels() const override { return row_; }
  [[nodiscard]] int64_t right_pixels() const override { return width_; }
  void put_left(const void* const* pixels, char* to) const override {
    auto* rows = reinterpret_cast<uint16_t*>(to);
    loops_.transpose(pixels, row_, s_.left(), rows, row_);
    if (!shifts_dst()) return;
    // Shifting diff_dst back by a tap has the effect of shifting the source forward: source pixel p meets pixel p -
    // position of diff_dst through that tap.
    for (int64_t j = 1; j < row_taps_; ++j) {
      uint16_t* shifted = rows + j * s_.left() * row_;
      for (int64_t c = 0; c < s_.left(); ++c) {
        std::fill_n(shifted + c * row_, tap(j).position, uint16_t{0});
        std::copy_n(rows + c * row_, width_ - tap(j).position, shifted + c * row_ + tap(j).position);
      }
    }
  }
  // The taps of a filter row lie one below the other. A phase is packed where its first tap belongs, or, where that tap
  // is shifted, after all taps; the other taps are copies some pixels further. Copied once, the rows of a tile are
  // whole cache lines for every tap, and few channels of several taps fill one tile.
  void put_left_phase(const void* const* pixels, int64_t phase, char* row) const override {
    auto* rows = reinterpret_cast<uint16_t*>(row);
    put_left(pixels, reinterpret_cast<char*>(rows + begin_of(phase) * row_));
    if (phase + 1 < s_.phases) return;
    for (int64_t j = phases_lead_ ? s_.phases : 0; j < row_taps_; ++j) {
      const uint16_t* from = rows + begin_of(tap(j).phase) * row_ + tap(j).position;
      uint16_t* to = rows + j * s_.left() * row_;
      for (int64_t c = 0; c < s_.left(); ++c) std::copy_n(from + c * row_, width_, to + c * row_);
    }
  }
  void put_right(const void* const* pixels, char* to) const override {
    loops_.pair(pixels, width_, s_.right(), reinterpret_cast<uint32_t*>(to), width_ / 2 * kAmxColumns);
  }

 private:
  static int64_t row_taps_of(const ProductSides& sides) {
    return std::count_if(sides.taps.begin(), sides.taps.end(),
                         [&](const ProductTap& tap) { return tap.row == sides.taps[0].row; });
  }
  // The taps go with the operand with which they fill fewer tiles: shifting the source forward by a tap is the same as
  // shifting diff_dst back.
  static ProductSides with_fewer_tiles(ProductSides sides) {
    const int64_t taps = row_taps_of(sides);
    const auto tiles = [&](int64_t with_taps, int64_t other) {
      return up(taps * with_taps, kAmxColumns) / kAmxColumns * (up(other, kAmxColumns) / kAmxColumns);
    };
    if (taps > 1 && sides.column_stride == 1) {
      sides.swapped = tiles(sides.dst_channels, sides.src_channels) < tiles(sides.src_channels, sides.dst_channels);
    }
    return sides;
  }
  [[nodiscard]] bool shifts_dst() const { return s_.swapped && row_taps_ > 1; }

  [[nodiscard]] const ProductTap& tap(int64_t column) const { return s_.taps[static_cast<std::size_t>(column)]; }
  // The row of operand A where a phase is packed.
  [[nodiscard]] int64_t begin_of(int64_t phase) const {
    return phases_lead_ ? phase * s_.left() : rows_ + phase * up(s_.left(), kAmxColumns);
  }
  // The tile of sums of filter row `tap_row` that has row `row` and column `column`.
  [[nodiscard]] int64_t tile_at(int64_t tap_row, int64_t row, int64_t column) const {
    return tap_row * rows_ * columns_ +
           (row / kAmxColumns * (columns_ / kAmxColumns) + column / kAmxColumns) * kAmxTileWords;
  }

  // Adds the products of rows m and columns n for filter row `tap_row`, up to 2 x 2 tiles.
  void add_tile(const ProductRows& band, int64_t tap_row, int64_t m, int64_t n, float* sums) const {
    const int64_t panel = width_ / 2 * kAmxColumns;
    const uint16_t* lefts[kMostBandRows];
    const uint32_t* rights[kMostBandRows];
    for (int64_t i = 0; i < band.count; ++i) {
      const char* src = band.src[tap(tap_row * row_taps_).row + i * s_.row_stride];
      const char* dst = band.dst[i];
      lefts[i] = reinterpret_cast<const uint16_t*>(s_.swapped ? dst : src) + m * row_;
      rights[i] = reinterpret_cast<const uint32_t*>(s_.swapped ? src : dst) + n / kAmxColumns * panel;
    }
    loops_.add_products({.left = lefts,
                         .left_row = row_,
                         .right = rights,
                         .right_column = panel,
                         .pieces = band.count,
                         .steps = width_ / kAmxDepth,
                         .rows = std::min<int64_t>(2, (rows_ - m) / kAmxColumns),
                         .columns = std::min<int64_t>(2, (columns_ - n) / kAmxColumns),
                         .sums = sums + tile_at(tap_row, m, n),
                         .sums_row = columns_ / kAmxColumns * kAmxTileWords,
                         .sums_column = kAmxTileWords});
  }

  const AmxLoops& loops_;
  int64_t row_taps_;  // taps in a row of the filter
  int64_t columns_, width_, row_ = 0, rows_ = 0;
  bool phases_lead_ = true;  // the first taps are those of the phases, in order and not shifted
};

}  // namespace

std::unique_ptr<const Products> amx_products(ProductSides sides) {
  return std::make_unique<AmxProducts>(std::move(sides), *amx_tiles());
}

}  // namespace hourglass::kernels
