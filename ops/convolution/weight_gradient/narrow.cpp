// Weight gradients of few channels, whose sums stay in vector registers over a whole row: of a 1x1 filter, and of a 3x3
// filter. Written with the compiler's vector types, so they run on any CPU.
#include "ops/convolution/weight_gradient/products.h"

#include <algorithm>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/memory/scratch_layout.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {
namespace {

constexpr int64_t kLanes = 16;

// Operands of a run of pixels, `left_step` and `right_step` elements from pixel to pixel, and where their sums are.
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

// sums[kLeft][kRight] += A^T B over the run of pixels.
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

// 1x1, few channels in operand A: both operands are read in place, sums of up to 4 x 16 channels stay in registers.
class NarrowProducts final : public Products {
 public:
  static bool takes(const ProductSides& sides) {
    return sides.taps.size() == 1 && !sides.padded && sides.column_stride == 1 && sides.left() <= kMostChannels;
  }

  NarrowProducts(ProductSides sides, bool is_bf16)
      : Products(std::move(sides), "loop"), is_bf16_(is_bf16), columns_(up(s_.right(), kLanes)) {}

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
  [[nodiscard]] int64_t left_pixels() const override { return s_.phase_width; }
  [[nodiscard]] int64_t right_pixels() const override { return s_.phase_width; }
  void put_left(const void* const*, char*) const override {}
  void put_right(const void* const*, char*) const override {}

 private:
  static constexpr int64_t kMostChannels = 8, kLeft = 4;
  // Pixels at a time, which stay in the first-level cache.
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

// Operands and sums of a row of pixels, for three taps.
struct TapRow {
  const float *left[3], *right[3];
  int64_t left_step, right_step, pixels;
  float* sums[3];
  int64_t sums_row;
};

// For each of three taps, sums[kLeft][kRight] += A^T B over the row of pixels.
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

// 3x3, few channels on both sides: rows are packed as f32 (in f32 diff_dst is read in place), and the sums of three
// taps stay in registers. Operand B is the one whose channels fill vectors.
class NarrowTapProducts final : public Products {
 public:
  static bool takes(const ProductSides& sides) {
    const int64_t src = sides.src_channels, dst = sides.dst_channels, lanes = lanes_of(sides);
    return sides.taps.size() == 9 && (src % lanes == 0 || dst % lanes == 0) && std::max(src, dst) <= kMostChannels &&
           src * dst <= kMost * lanes;
  }

  NarrowTapProducts(ProductSides sides, bool is_bf16)
      : Products(std::move(sides), "loop"), is_bf16_(is_bf16), lanes_(lanes_of(s_)) {
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
  [[nodiscard]] int64_t left_pixels() const override { return s_.swapped ? s_.width : s_.phase_width; }
  [[nodiscard]] int64_t right_pixels() const override { return s_.swapped ? s_.phase_width : s_.width; }
  void put_left(const void* const* pixels, char* to) const override { put(pixels, left_pixels(), s_.left(), to); }
  void put_right(const void* const* pixels, char* to) const override { put(pixels, right_pixels(), s_.right(), to); }

 private:
  static constexpr int64_t kMostChannels = 16;
  // Vectors of sums of one tap: up to so many this is faster than Winograd's algorithm.
  static constexpr int64_t kMost = 16;

  static bool is_wide() { return has(Isa::avx512); }
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

  // Adds the products of row i of the band for taps [t, t + 3).
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
                            (tap.phase * s_.phase_width + tap.position) * s_.src_channels;
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
  int64_t rows_ = is_wide() ? 8 : 4;  // channels of A, times three taps, whose sums stay in registers
};

}  // namespace

std::unique_ptr<const Products> narrow_1x1_products(DType type, ProductSides sides) {
  if (!NarrowProducts::takes(sides)) return nullptr;
  return std::make_unique<NarrowProducts>(std::move(sides), type == DType::bf16);
}

std::unique_ptr<const Products> narrow_3x3_products(DType type, ProductSides sides) {
  if (!NarrowTapProducts::takes(sides)) return nullptr;
  return std::make_unique<NarrowTapProducts>(std::move(sides), type == DType::bf16);
}

}  // namespace hourglass::kernels
