// Weight gradients by the GEMM of ops/simd/gemm.h, in f32 or in words of two bf16.
#include "ops/convolution/weight_gradient/products.h"

#include <algorithm>

#include "ops/memory/scratch_layout.h"
#include "ops/simd/gemm.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {
namespace {

// Operand A is packed into panels of kRows channels, B into panels of kColumns; a panel has a row of words for each
// step of K, which is a pixel or, in bf16, two. In f32, operands of few channels are read in place.
class VectorProducts final : public Products {
 public:
  VectorProducts(ProductSides sides, bool is_bf16, const GemmLoops& loops)
      : Products(std::move(sides), isa_of(loops, is_bf16 ? DType::bf16 : DType::f32)),
        loops_(loops),
        is_bf16_(is_bf16),
        per_step_(is_bf16 ? 2 : 1),
        columns_(up(s_.right(), kGemmLanes)) {
    const auto is_odd = [](const ProductTap& tap) { return tap.position % 2 != 0; };
    if (is_bf16 && std::any_of(s_.taps.begin(), s_.taps.end(), is_odd)) copies_ = 2;
    const auto steps = [&](int64_t pixels) { return up(pixels, per_step_) / per_step_; };
    left_steps_ = steps(s_.swapped ? s_.width : s_.phase_width);
    right_steps_ = steps(s_.width);
    const auto stays = [&](int64_t channels, bool is_src) {
      return !is_bf16 && channels <= kFewChannels && !(is_src && s_.padded);
    };
    left_in_place_ = stays(s_.left(), !s_.swapped);
    right_in_place_ = stays(s_.right(), s_.swapped) && s_.right() % kGemmLanes == 0;
  }

  void add(const ProductRows& band, float* sums) const override {
    for (int64_t n = 0; n < columns_; n += kColumns) {
      for (int64_t i = 0; i < band.count; ++i) {
        for (int64_t k = 0; k < right_steps_; k += kSteps) {
          Gemm p{.b_step = right_in_place_ ? s_.right() * (s_.swapped ? s_.column_stride : 1)
                                           : panel_width(s_.right(), n, kColumns),
                 .c_row = columns_,
                 .vectors = panel_width(s_.right(), n, kColumns) / kGemmLanes,
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
    // In bf16 pairs of pixels begin at even pixels in the first copy and at odd ones in the second, for taps that are
    // shifted by an odd number.
    for (int64_t copy = 0; copy < copies_; ++copy) {
      put(pixels + copy, s_.left(), kRows, left_steps_, reinterpret_cast<uint32_t*>(to) + copy * copy_words());
    }
  }
  void put_right(const void* const* pixels, char* to) const override {
    put(pixels, s_.right(), kColumns, right_steps_, reinterpret_cast<uint32_t*>(to));
  }

 private:
  // 48 rows are a multiple of the micro-kernel's 4, 6, 8 or 12; 64 columns are four vectors of AVX-512, or eight of
  // AVX2.
  static constexpr int64_t kRows = 48, kColumns = 64;
  // Steps of K at a time: both panels stay in the first-level cache.
  static constexpr int64_t kSteps = 64;
  // Most channels to read in place: with more, the pixels of a panel compete for few sets of the first-level cache.
  static constexpr int64_t kFewChannels = 64;

  static const uint32_t* words(const char* row) { return reinterpret_cast<const uint32_t*>(row); }
  static int64_t panel_width(int64_t channels, int64_t first, int64_t width) {
    return std::min(up(channels, kGemmLanes) - first, width);
  }
  [[nodiscard]] int64_t copy_words() const { return up(s_.left(), kGemmLanes) * left_steps_; }

  void put(const void* const* pixels, int64_t channels, int64_t panel, int64_t steps, uint32_t* to) const {
    for (int64_t c = 0; c < channels; c += panel) {
      loops_.pack(is_bf16_, pixels, steps * per_step_, c, std::min(panel, channels - c), to + c * steps,
                  panel_width(channels, c, panel));
    }
  }

  // Multiplies all rows of A, from step k on, for one tap; `p` has everything but operand A and its sums.
  void add_rows(const uint32_t* row, const ProductTap& tap, int64_t k, Gemm p) const {
    float* const sums = p.c;
    p.a_row = 1;
    for (int64_t m = 0; m < s_.left(); m += kRows) {
      if (left_in_place_) {
        p.a_step = s_.left() * (s_.swapped ? 1 : s_.column_stride);
        p.a = row + tap.phase * s_.left() + (tap.position + k) * p.a_step + m;
      } else {
        p.a_step = panel_width(s_.left(), m, kRows);
        p.a = row + (tap.phase * copies_ + tap.position % copies_) * copy_words() + m * left_steps_ +
              (tap.position / per_step_ + k) * p.a_step;
      }
      p.c = sums + m * columns_;
      p.rows = std::min(kRows, s_.left() - m);
      loops_.multiply(is_bf16_, p);
    }
  }

  const GemmLoops& loops_;
  bool is_bf16_;
  int64_t per_step_, columns_, copies_ = 1, left_steps_ = 0, right_steps_ = 0;
  bool left_in_place_ = false, right_in_place_ = false;
};

}  // namespace

std::unique_ptr<const Products> vector_products(DType type, ProductSides sides) {
  return std::make_unique<VectorProducts>(std::move(sides), type == DType::bf16, *gemm_loops(type));
}

}  // namespace hourglass::kernels
