#include "ops/convolution/weight_gradient/products.h"

#include <algorithm>

#include "ops/simd/amx.h"
#include "ops/loops/loop.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/onednn.h"
#include "ops/convolution/amx_forward.h"
#include "ops/convolution/winograd.h"
#include "ops/simd/winograd_loops.h"

namespace hourglass::detail {
namespace {

constexpr int64_t kLanes = 16;

std::size_t bytes_of(int64_t words) { return static_cast<std::size_t>(words) * 4; }

// Vectors of f32, or of two bf16 in a word. The left side is cut into panels of kRows channels, the right one into
// panels of kColumns; a panel has a row of words for each step: a pixel, or two. Few channels of f32 stay where they
// are.
class VectorProducts final : public Products {
 public:
  VectorProducts(ProductSides sides, bool is_bf16, const WinogradLoops& loops)
      : Products(std::move(sides), fmt::format("products:{}{}", loops.isa, is_bf16 ? "_bf16" : "")),
        loops_(loops),
        is_bf16_(is_bf16),
        per_step_(is_bf16 ? 2 : 1),
        columns_(up(s_.right(), kLanes)) {
    const auto is_odd = [](const ProductTap& tap) { return tap.place % 2 != 0; };
    if (is_bf16 && std::any_of(s_.taps.begin(), s_.taps.end(), is_odd)) copies_ = 2;
    const auto steps = [&](int64_t pixels) { return up(pixels, per_step_) / per_step_; };
    left_steps_ = steps(s_.swapped ? s_.width : s_.places);
    right_steps_ = steps(s_.width);
    const auto stays = [&](int64_t channels, bool is_src) {
      return !is_bf16 && channels <= kFewChannels && !(is_src && s_.padded);
    };
    left_in_place_ = stays(s_.left(), !s_.swapped);
    right_in_place_ = stays(s_.right(), s_.swapped) && s_.right() % kLanes == 0;
  }

  void add(const ProductRows& band, float* sums) const override {
    for (int64_t n = 0; n < columns_; n += kColumns) {
      for (int64_t i = 0; i < band.count; ++i) {
        for (int64_t k = 0; k < right_steps_; k += kSteps) {
          WinogradProduct p{.b_step = right_in_place_ ? s_.right() * (s_.swapped ? s_.column_stride : 1)
                                                      : panel_width(s_.right(), n, kColumns),
                            .c_row = columns_,
                            .vectors = panel_width(s_.right(), n, kColumns) / kLanes,
                            .depth = std::min(kSteps, right_steps_ - k),
                            .add = true};
          p.b = words(right(band, i)) + (right_in_place_ ? n : n * right_steps_) + k * p.b_step;
          for (std::size_t t = 0; t < s_.taps.size(); ++t) {
            p.c = sums + static_cast<int64_t>(t) * tap_floats() + n;
            add_rows(words(left(band, s_.taps[t], i)), s_.taps[t], k, p);
          }
        }
      }
    }
  }
  [[nodiscard]] int64_t tap_floats() const { return s_.left() * columns_; }
  [[nodiscard]] int64_t sums_floats() const override { return taps() * tap_floats(); }
  [[nodiscard]] int64_t sums_at(int64_t tap, int64_t left, int64_t right) const override {
    return tap * tap_floats() + left * columns_ + right;
  }

 protected:
  [[nodiscard]] bool left_in_place() const override { return left_in_place_; }
  [[nodiscard]] bool right_in_place() const override { return right_in_place_; }
  [[nodiscard]] std::size_t left_bytes() const override {
    return bytes_of(left_in_place_ ? 0 : copies_ * copy_words());
  }
  [[nodiscard]] std::size_t right_bytes() const override {
    return bytes_of(right_in_place_ ? 0 : right_steps_ * columns_);
  }
  [[nodiscard]] int64_t left_pixels() const override { return left_steps_ * per_step_ + copies_ - 1; }
  [[nodiscard]] int64_t right_pixels() const override { return right_steps_ * per_step_; }

  void put_left(const void* const* pixels, char* to) const override {
    // Pairs of bf16 begin at even places in the first copy, at odd ones in the second.
    for (int64_t copy = 0; copy < copies_; ++copy) {
      put(pixels + copy, s_.left(), kRows, left_steps_, reinterpret_cast<uint32_t*>(to) + copy * copy_words());
    }
  }
  void put_right(const void* const* pixels, char* to) const override {
    put(pixels, s_.right(), kColumns, right_steps_, reinterpret_cast<uint32_t*>(to));
  }

 private:
  // 48 rows are whole tiles of sums, which have 4, 6, 8 or 12 of them; 64 columns are four vectors, or eight.
  static constexpr int64_t kRows = 48, kColumns = 64;
  // Steps at a time: both panels stay in the first-level cache.
  static constexpr int64_t kSteps = 64;
  // So many lie close enough together: with more, the pixels of a panel meet in few sets of the first-level cache.
  static constexpr int64_t kFewChannels = 64;

  static const uint32_t* words(const char* row) { return reinterpret_cast<const uint32_t*>(row); }
  static int64_t panel_width(int64_t channels, int64_t first, int64_t width) {
    return std::min(up(channels, kLanes) - first, width);
  }
  [[nodiscard]] int64_t copy_words() const { return up(s_.left(), kLanes) * left_steps_; }

  void put(const void* const* pixels, int64_t channels, int64_t panel, int64_t steps, uint32_t* to) const {
    for (int64_t c = 0; c < channels; c += panel) {
      loops_.pack(is_bf16_, pixels, steps * per_step_, c, std::min(panel, channels - c), to + c * steps,
                  panel_width(channels, c, panel));
    }
  }

  // All rows of the products, from step k of the tap on; `p` has all but what its left side needs.
  void add_rows(const uint32_t* row, const ProductTap& tap, int64_t k, WinogradProduct p) const {
    float* const sums = p.c;
    p.a_row = 1;
    for (int64_t m = 0; m < s_.left(); m += kRows) {
      if (left_in_place_) {
        p.a_step = s_.left() * (s_.swapped ? 1 : s_.column_stride);
        p.a = row + tap.phase * s_.left() + (tap.place + k) * p.a_step + m;
      } else {
        p.a_step = panel_width(s_.left(), m, kRows);
        p.a = row + (tap.phase * copies_ + tap.place % copies_) * copy_words() + m * left_steps_ +
              (tap.place / per_step_ + k) * p.a_step;
      }
      p.c = sums + m * columns_;
      p.rows = std::min(kRows, s_.left() - m);
      loops_.multiply(is_bf16_, p);
    }
  }

  const WinogradLoops& loops_;
  bool is_bf16_;
  int64_t per_step_, columns_, copies_ = 1, left_steps_ = 0, right_steps_ = 0;
  bool left_in_place_ = false, right_in_place_ = false;
};

// AMX: channels of the left side are rows of pixels.
class TileProducts final : public Products {
 public:
  TileProducts(ProductSides sides, const AmxLoops& loops)
      : Products(with_fewer_tiles(std::move(sides)), "products:avx512_core_amx_bf16"),
        loops_(loops),
        row_taps_(row_taps_of(s_)),
        columns_(up(s_.right(), kLanes)),
        width_(up(shifts_dst() ? s_.places : s_.width, kPixels)) {
    // An odd number of cache lines, so that the rows of a tile don't meet in one set of a cache.
    row_ = (up(width_ + s_.places - s_.width, kPixels) / kPixels | 1) * kPixels;
    for (int64_t phase = 0; phase < s_.phases; ++phase) {
      const bool leads = phase < row_taps_ && tap(phase).phase == phase && tap(phase).place == 0;
      phases_lead_ = phases_lead_ && leads;
    }
    rows_ = up(row_taps_ * s_.left(), kLanes);
  }

  void begin() const override { loops_.begin(); }
  void end() const override { loops_.end(); }
  void add(const ProductRows& band, float* sums) const override {
    for (int64_t m = 0; m < rows_; m += 2 * kLanes) {
      for (int64_t n = 0; n < columns_; n += 2 * kLanes) {
        for (int64_t i = 0; i < taps() / row_taps_; ++i) add_tile(band, i, m, n, sums);
      }
    }
  }
  [[nodiscard]] int64_t sums_floats() const override { return taps() / row_taps_ * rows_ * columns_; }
  [[nodiscard]] int64_t sums_at(int64_t tap, int64_t left, int64_t right) const override {
    const int64_t row = tap % row_taps_ * s_.left() + left;
    return tile_at(tap / row_taps_, row, right) + row % kLanes * kLanes;
  }

 protected:
  [[nodiscard]] std::size_t left_bytes() const override {
    return bytes_of(std::max(shifts_dst() ? rows_ : 0, up(s_.left(), kLanes)) * row_ / 2);
  }
  // Room for the zeros behind the last channel of what is put last.
  [[nodiscard]] std::size_t left_row_bytes() const override {
    return bytes_of(std::max(rows_, begin_of(s_.phases - 1) + up(s_.left(), kLanes)) * row_ / 2);
  }
  [[nodiscard]] std::size_t right_bytes() const override { return bytes_of(width_ / 2 * columns_); }
  [[nodiscard]] int64_t left_pixels() const override { return row_; }
  [[nodiscard]] int64_t right_pixels() const override { return width_; }
  void put_left(const void* const* pixels, char* to) const override {
    auto* rows = reinterpret_cast<uint16_t*>(to);
    loops_.transpose(pixels, row_, s_.left(), rows, row_);
    if (!shifts_dst()) return;
    // The other way round: what a pixel of the source meets for a further tap is the gradient some pixels before.
    for (int64_t j = 1; j < row_taps_; ++j) {
      uint16_t* shifted = rows + j * s_.left() * row_;
      for (int64_t c = 0; c < s_.left(); ++c) {
        std::fill_n(shifted + c * row_, tap(j).place, uint16_t{0});
        std::copy_n(rows + c * row_, width_ - tap(j).place, shifted + c * row_ + tap(j).place);
      }
    }
  }
  // The taps of a row of the filter lie one below the other. A phase is put where its first tap is, or behind them all;
  // the others are the same, some pixels further: copied once, a tile's rows are whole cache lines for all of them, and
  // few channels of several taps fill one tile.
  void put_left_phase(const void* const* pixels, int64_t phase, char* row) const override {
    auto* rows = reinterpret_cast<uint16_t*>(row);
    put_left(pixels, reinterpret_cast<char*>(rows + begin_of(phase) * row_));
    if (phase + 1 < s_.phases) return;
    for (int64_t j = phases_lead_ ? s_.phases : 0; j < row_taps_; ++j) {
      const uint16_t* from = rows + begin_of(tap(j).phase) * row_ + tap(j).place;
      uint16_t* to = rows + j * s_.left() * row_;
      for (int64_t c = 0; c < s_.left(); ++c) std::copy_n(from + c * row_, width_, to + c * row_);
    }
  }
  void put_right(const void* const* pixels, char* to) const override {
    loops_.pair(pixels, width_, s_.right(), reinterpret_cast<uint32_t*>(to), width_ / 2 * kLanes);
  }

 private:
  static constexpr int64_t kPixels = 32, kTile = 256;

  static int64_t row_taps_of(const ProductSides& sides) {
    return std::count_if(sides.taps.begin(), sides.taps.end(),
                         [&](const ProductTap& tap) { return tap.row == sides.taps[0].row; });
  }
  // The taps go with the side with which they fill fewer tiles: the source's pixels of a tap are those of the first
  // some pixels further, or the gradient's some before.
  static ProductSides with_fewer_tiles(ProductSides sides) {
    const int64_t taps = row_taps_of(sides);
    const auto tiles = [&](int64_t with_taps, int64_t other) {
      return up(taps * with_taps, kLanes) / kLanes * (up(other, kLanes) / kLanes);
    };
    if (taps > 1 && sides.column_stride == 1) {
      sides.swapped = tiles(sides.dst_channels, sides.src_channels) < tiles(sides.src_channels, sides.dst_channels);
    }
    return sides;
  }
  [[nodiscard]] bool shifts_dst() const { return s_.swapped && row_taps_ > 1; }

  [[nodiscard]] const ProductTap& tap(int64_t column) const { return s_.taps[static_cast<std::size_t>(column)]; }
  // The row where a phase is put.
  [[nodiscard]] int64_t begin_of(int64_t phase) const {
    return phases_lead_ ? phase * s_.left() : rows_ + phase * up(s_.left(), kLanes);
  }
  // The tile of the filter's row `tap_row` that has row `row` and column `column`.
  [[nodiscard]] int64_t tile_at(int64_t tap_row, int64_t row, int64_t column) const {
    return tap_row * rows_ * columns_ + (row / kLanes * (columns_ / kLanes) + column / kLanes) * kTile;
  }

  // The products of rows m and columns n of the filter's row `tap_row`, up to two tiles of both.
  void add_tile(const ProductRows& band, int64_t tap_row, int64_t m, int64_t n, float* sums) const {
    const int64_t panel = width_ / 2 * kLanes;
    const uint16_t* lefts[kBandRows];
    const uint32_t* rights[kBandRows];
    for (int64_t i = 0; i < band.count; ++i) {
      const char* src = band.src[tap(tap_row * row_taps_).row + i * s_.row_stride];
      const char* dst = band.dst[i];
      lefts[i] = reinterpret_cast<const uint16_t*>(s_.swapped ? dst : src) + m * row_;
      rights[i] = reinterpret_cast<const uint32_t*>(s_.swapped ? src : dst) + n / kLanes * panel;
    }
    loops_.add_products({.left = lefts,
                         .left_row = row_,
                         .right = rights,
                         .right_column = panel,
                         .pieces = band.count,
                         .steps = width_ / kPixels,
                         .rows = std::min<int64_t>(2, (rows_ - m) / kLanes),
                         .columns = std::min<int64_t>(2, (columns_ - n) / kLanes),
                         .sums = sums + tile_at(tap_row, m, n),
                         .sums_row = columns_ / kLanes * kTile,
                         .sums_column = kTile});
  }

  const AmxLoops& loops_;
  int64_t row_taps_;  // taps of a row of the filter
  int64_t columns_, width_, row_ = 0, rows_ = 0;
  bool phases_lead_ = true;  // the first taps are those of the phases, in order and not shifted
};

// Channels of neighbouring pixels on both sides, and where their sums are.
template <class T>
struct Few {
  const float* left;
  const T* right;
  int64_t left_step, right_step, pixels;
  float* sums;
  int64_t sums_row;
};

template <int kCount>
struct Lanes {
  typedef float Floats __attribute__((vector_size(kCount * sizeof(float))));
  typedef uint32_t Words __attribute__((vector_size(kCount * sizeof(uint32_t))));
  typedef uint16_t Halves __attribute__((vector_size(kCount * sizeof(uint16_t))));
};

// The products of kLeft channels and kRight.
template <class T, int kLeft, int kRight>
HG_CLONES void add_few(const Few<T>& p) {
  using Vector = typename Lanes<kRight>::Floats;
  Vector sum[kLeft] = {};
  for (int64_t i = 0; i < p.pixels; ++i) {
    const float* x = p.left + i * p.left_step;
    const T* y = p.right + i * p.right_step;
    Vector right;
    if constexpr (std::is_same_v<T, float>) {
      std::memcpy(&right, y, sizeof right);
    } else {
      typename Lanes<kRight>::Halves halves;
      std::memcpy(&halves, y, sizeof halves);
      const auto words = __builtin_convertvector(halves, typename Lanes<kRight>::Words) << 16;
      std::memcpy(&right, &words, sizeof right);
    }
#pragma GCC unroll 4
    for (int m = 0; m < kLeft; ++m) sum[m] += right * x[m];
  }
#pragma GCC unroll 4
  for (int m = 0; m < kLeft; ++m) {
    Vector old;
    std::memcpy(&old, p.sums + m * p.sums_row, sizeof old);
    old += sum[m];
    std::memcpy(p.sums + m * p.sums_row, &old, sizeof old);
  }
}

template <class T, int kRight>
void add_few(const Few<T>& p, int64_t left) {
  switch (left) {
    case 1: return add_few<T, 1, kRight>(p);
    case 2: return add_few<T, 2, kRight>(p);
    case 3: return add_few<T, 3, kRight>(p);
    default: return add_few<T, 4, kRight>(p);
  }
}

template <class T>
void add_few(const Few<T>& p, int64_t left, int64_t right) {
  switch (right) {
    case 1: return add_few<T, 1>(p, left);
    case 4: return add_few<T, 4>(p, left);
    case 8: return add_few<T, 8>(p, left);
    default: return add_few<T, 16>(p, left);
  }
}

// Few channels on the left side of a pointwise convolution: both sides stay where they are, and the sums in registers.
class NarrowProducts final : public Products {
 public:
  static bool takes(const ProductSides& sides) {
    return sides.taps.size() == 1 && !sides.padded && sides.column_stride == 1 && sides.left() <= kMostChannels;
  }

  NarrowProducts(ProductSides sides, bool is_bf16)
      : Products(std::move(sides), "products:loop"), is_bf16_(is_bf16), columns_(up(s_.right(), kLanes)) {}

  void add(const ProductRows& band, float* sums) const override {
    with_element(is_bf16_, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      for (int64_t i = 0; i < band.count; ++i) {
        add_row(reinterpret_cast<const T*>(left(band, s_.taps[0], i)), reinterpret_cast<const T*>(right(band, i)),
                sums);
      }
    });
  }
  [[nodiscard]] int64_t tap_floats() const { return s_.left() * columns_; }
  [[nodiscard]] int64_t sums_floats() const override { return taps() * tap_floats(); }
  [[nodiscard]] int64_t sums_at(int64_t, int64_t left, int64_t right) const override { return left * columns_ + right; }

 protected:
  [[nodiscard]] bool left_in_place() const override { return true; }
  [[nodiscard]] bool right_in_place() const override { return true; }
  [[nodiscard]] std::size_t left_bytes() const override { return 0; }
  [[nodiscard]] std::size_t right_bytes() const override { return 0; }
  [[nodiscard]] int64_t left_pixels() const override { return s_.places; }
  [[nodiscard]] int64_t right_pixels() const override { return s_.places; }
  void put_left(const void* const*, char*) const override {}
  void put_right(const void* const*, char*) const override {}

 private:
  static constexpr int64_t kMostChannels = 8, kLeft = 4;
  // Pixels at a time: they stay in the first-level cache.
  static constexpr int64_t kPixels = 32;

  template <class T>
  void add_row(const T* left, const T* right, float* sums) const {
    float lefts[kPixels * kMostChannels];
    for (int64_t first = 0; first < s_.width; first += kPixels) {
      const int64_t pixels = std::min(kPixels, s_.width - first);
      widen(left + first * s_.left(), pixels * s_.left(), lefts);
      for (int64_t n = 0, width = 0; n < s_.right(); n += width) {
        width = s_.right() - n;
        width = width >= 16 ? 16 : width >= 8 ? 8 : width >= 4 ? 4 : 1;
        for (int64_t m = 0; m < s_.left(); m += kLeft) {
          add_few<T>({.left = lefts + m,
                      .right = right + first * s_.right() + n,
                      .left_step = s_.left(),
                      .right_step = s_.right(),
                      .pixels = pixels,
                      .sums = sums + m * columns_ + n,
                      .sums_row = columns_},
                     std::min(kLeft, s_.left() - m), width);
        }
      }
    }
  }

  bool is_bf16_;
  int64_t columns_;
};

// A row of pixels of both sides, and their sums, for three taps.
struct TapRow {
  const float *left[3], *right[3];
  int64_t left_step, right_step, pixels;
  float* sums[3];
  int64_t sums_row;
};

// The products of kLeft channels and kRight.
template <int kLeft, int kRight>
HG_CLONES void add_taps(const TapRow& p) {
  using Vector = typename Lanes<kRight>::Floats;
  Vector sum[3][kLeft] = {};
  for (int64_t i = 0; i < p.pixels; ++i) {
#pragma GCC unroll 3
    for (int t = 0; t < 3; ++t) {
      const float* x = p.left[t] + i * p.left_step;
      Vector right;
      std::memcpy(&right, p.right[t] + i * p.right_step, sizeof right);
#pragma GCC unroll 8
      for (int m = 0; m < kLeft; ++m) sum[t][m] += right * x[m];
    }
  }
#pragma GCC unroll 3
  for (int t = 0; t < 3; ++t) {
#pragma GCC unroll 8
    for (int m = 0; m < kLeft; ++m) {
      Vector old;
      std::memcpy(&old, p.sums[t] + m * p.sums_row, sizeof old);
      old += sum[t][m];
      std::memcpy(p.sums[t] + m * p.sums_row, &old, sizeof old);
    }
  }
}

template <class T, int kChannels>
HG_CLONES void put_pixels(const void* const* pixels, int64_t count, int64_t channels, float* to) {
  if constexpr (kChannels > 0) channels = kChannels;
  for (int64_t i = 0; i < count; ++i) {
    const T* from = static_cast<const T*>(pixels[i]);
    for (int64_t c = 0; c < channels; ++c) to[i * channels + c] = load(from + c);
  }
}

// Few channels on both sides of a filter of nine taps: pixels lie side by side, as floats, and the sums of three taps
// stay in registers. The right side is the one whose channels fill vectors.
class NarrowTapProducts final : public Products {
 public:
  static bool takes(const ProductSides& sides) {
    const int64_t src = sides.src_channels, dst = sides.dst_channels, lanes = lanes_of(sides);
    return sides.taps.size() == 9 && (src % lanes == 0 || dst % lanes == 0) && std::max(src, dst) <= kMostChannels &&
           src * dst <= kMost * lanes;
  }

  NarrowTapProducts(ProductSides sides, bool is_bf16)
      : Products(std::move(sides), "products:loop"), is_bf16_(is_bf16), lanes_(lanes_of(s_)) {
    s_.swapped = s_.dst_channels % lanes_ != 0;
  }

  void add(const ProductRows& band, float* sums) const override {
    for (int64_t i = 0; i < band.count; ++i) {
      for (std::size_t t = 0; t < s_.taps.size(); t += 3) add_three(band, i, t, sums);
    }
  }
  [[nodiscard]] int64_t tap_floats() const { return s_.left() * columns(); }
  [[nodiscard]] int64_t sums_floats() const override { return taps() * tap_floats(); }
  [[nodiscard]] int64_t sums_at(int64_t tap, int64_t left, int64_t right) const override {
    return tap * tap_floats() + left * columns() + right;
  }

 protected:
  [[nodiscard]] bool left_in_place() const override { return s_.swapped && !is_bf16_; }
  [[nodiscard]] bool right_in_place() const override { return !s_.swapped && !is_bf16_; }
  [[nodiscard]] std::size_t left_bytes() const override {
    return bytes_of(left_in_place() ? 0 : left_pixels() * s_.left());
  }
  [[nodiscard]] std::size_t right_bytes() const override {
    return bytes_of(right_in_place() ? 0 : right_pixels() * s_.right());
  }
  [[nodiscard]] int64_t left_pixels() const override { return s_.swapped ? s_.width : s_.places; }
  [[nodiscard]] int64_t right_pixels() const override { return s_.swapped ? s_.places : s_.width; }
  void put_left(const void* const* pixels, char* to) const override { put(pixels, left_pixels(), s_.left(), to); }
  void put_right(const void* const* pixels, char* to) const override { put(pixels, right_pixels(), s_.right(), to); }

 private:
  static constexpr int64_t kMostChannels = 16;
  // Vectors of products of a pixel and tap: up to so many are faster than Winograd's algorithm.
  static constexpr int64_t kMost = 16;

  static bool is_wide() { return has_isa(dnnl::cpu_isa::avx512_core); }
  static int64_t lanes_of(const ProductSides& sides) {
    return is_wide() && std::max(sides.src_channels, sides.dst_channels) >= 16 ? 16 : 8;
  }
  [[nodiscard]] int64_t columns() const { return up(s_.right(), kLanes); }

  void put(const void* const* pixels, int64_t count, int64_t channels, char* to) const {
    with_element(is_bf16_, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      const auto put = channels == 3    ? put_pixels<T, 3>  // an image
                       : channels == 8  ? put_pixels<T, 8>
                       : channels == 16 ? put_pixels<T, 16>
                                        : put_pixels<T, 0>;
      put(pixels, count, channels, reinterpret_cast<float*>(to));
    });
  }

  // Of row i of the band, for taps [t, t + 3).
  void add_three(const ProductRows& band, int64_t i, std::size_t t, float* sums) const {
    for (int64_t m = 0, rows = 0; m < s_.left(); m += rows) {
      rows = std::min(rows_, s_.left() - m);
      if (rows < 8 && rows > 4) rows = 4;
      for (int64_t n = 0; n < s_.right(); n += lanes_) {
        TapRow p{.left = {},
                 .right = {},
                 .left_step = s_.left(),
                 .right_step = s_.right(),
                 .pixels = s_.width,
                 .sums = {},
                 .sums_row = columns()};
        for (std::size_t j = 0; j < 3; ++j) {
          const ProductTap& tap = s_.taps[t + j];
          const auto* src = reinterpret_cast<const float*>(band.src[tap.row + i * s_.row_stride]) +
                            (tap.phase * s_.places + tap.place) * s_.src_channels;
          const auto* dst = reinterpret_cast<const float*>(band.dst[i]);
          p.left[j] = (s_.swapped ? dst : src) + m;
          p.right[j] = (s_.swapped ? src : dst) + n;
          p.sums[j] = sums + sums_at(static_cast<int64_t>(t + j), m, n);
        }
        if (lanes_ == 16) {
          add_rows<16>(p, rows);
        } else {
          add_rows<8>(p, rows);
        }
      }
    }
  }

  template <int kRight>
  static void add_rows(const TapRow& p, int64_t rows) {
    switch (rows) {
      case 1: return add_taps<1, kRight>(p);
      case 2: return add_taps<2, kRight>(p);
      case 3: return add_taps<3, kRight>(p);
      case 4: return add_taps<4, kRight>(p);
      default: return add_taps<8, kRight>(p);
    }
  }

  bool is_bf16_;
  int64_t lanes_;
  int64_t rows_ = is_wide() ? 8 : 4;  // that three taps' sums stay in registers for
};

}  // namespace

ProductSides product_sides(const Convolution& conv) {
  const auto& [h, w] = conv.window;
  const auto leaves = [](const WindowAxis& axis) {
    return axis.pad_begin != 0 || axis.position(axis.dst - 1, axis.kernel - 1) >= axis.src;
  };
  ProductSides sides{.src_channels = conv.src.shape[1],
                     .dst_channels = conv.dst.shape[1],
                     .swapped = h.kernel * w.kernel == 1 && conv.dst.shape[1] < conv.src.shape[1],
                     .width = w.dst,
                     .places = w.dst + (w.extent() - 1) / w.stride,
                     .phases = std::min(w.stride, w.extent()),
                     .row_stride = h.stride,
                     .column_stride = w.stride,
                     .padded = leaves(h) || leaves(w),
                     .taps = {}};
  for (int64_t i = 0; i < h.kernel; ++i) {
    for (int64_t j = 0; j < w.kernel; ++j) {
      const int64_t column = j * w.dilation;
      sides.taps.push_back({.row = i * h.dilation, .phase = column % w.stride, .place = column / w.stride});
    }
  }
  return sides;
}

bool has_narrow_products(DType type, const ProductSides& sides) {
  // AMX is ahead (512x512, 16 to 8 channels: 1.7 ms against 2.7).
  return NarrowTapProducts::takes(sides) && (type == DType::f32 || tile_loops() == nullptr);
}

std::unique_ptr<const Products> make_products(DType type, ProductSides sides) {
  if (NarrowProducts::takes(sides)) return std::make_unique<NarrowProducts>(std::move(sides), type == DType::bf16);
  if (has_narrow_products(type, sides)) {
    return std::make_unique<NarrowTapProducts>(std::move(sides), type == DType::bf16);
  }
  if (const AmxLoops* loops = type == DType::bf16 ? tile_loops() : nullptr) {
    return std::make_unique<TileProducts>(std::move(sides), *loops);
  }
  // With few channels on one side, oneDNN's direct convolution is ahead.
  const bool few = std::min(sides.src_channels, sides.dst_channels) <= 8 && sides.taps.size() > 1;
  const WinogradLoops* loops = winograd_loops(type);
  if (loops == nullptr || few) return nullptr;
  return std::make_unique<VectorProducts>(std::move(sides), type == DType::bf16, *loops);
}

}  // namespace hourglass::detail
