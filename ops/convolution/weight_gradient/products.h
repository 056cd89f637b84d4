// The inner GEMM of a weight gradient behind one interface: how the operands' rows are packed, and how a band of them
// is multiplied and added. For each tap, sums[M][N] += A^T B over the pixels of a band. Operand A ("left") has M
// channels and operand B ("right") N channels. Normally A is the source and B is diff_dst; `swapped` exchanges them
// where that fills vectors or AMX tiles better.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

constexpr std::size_t bytes_of(int64_t words) { return static_cast<std::size_t>(words) * 4; }

// Most rows of diff_dst in a band.
constexpr int64_t kMostBandRows = 16;

// Where a tap's pixels lie in a packed row of the source. With a stride, a packed row holds the columns phase by phase
// (stride 2: the even ones, then the odd ones), so that a tap's pixels are neighbours. `row` counts from the first row
// that the window touches, `position` within the phase.
struct ProductTap {
  int64_t row = 0, phase = 0, position = 0;
};

// Sizes and taps of both operands.
struct ProductSides {
  int64_t src_channels = 0, dst_channels = 0;
  bool swapped = false;
  int64_t width = 0;        // pixels in a row of diff_dst
  int64_t phase_width = 0;  // pixels in one phase of a row of the source
  int64_t phases = 1;
  int64_t row_stride = 1, column_stride = 1;  // in the source, per row and pixel of diff_dst
  bool padded = false;                        // whether some windows leave the source
  std::vector<ProductTap> taps;

  [[nodiscard]] int64_t left() const { return swapped ? dst_channels : src_channels; }
  [[nodiscard]] int64_t right() const { return swapped ? src_channels : dst_channels; }
};

// A band's rows, packed (or in place).
struct ProductRows {
  const char* const* src = nullptr;  // rows of the source, from the first that the band touches on
  const char* const* dst = nullptr;  // rows of diff_dst
  int64_t count = 0;                 // rows of diff_dst in the band
};

// For a convolution with group 1. 1x1: the operand of more channels is B.
ProductSides product_sides(const Convolution& conv);

// One way to pack both operands and to multiply them.
class Products {
 public:
  Products(ProductSides sides, std::string name) : s_(std::move(sides)), name_(std::move(name)) {}
  virtual ~Products() = default;
  [[nodiscard]] const ProductSides& sides() const { return s_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  // Whether an operand is read in place, without packing.
  [[nodiscard]] bool src_in_place() const { return s_.swapped ? right_in_place() : left_in_place(); }
  [[nodiscard]] bool dst_in_place() const { return s_.swapped ? left_in_place() : right_in_place(); }
  // Bytes of a packed row: of the source, all phases, and of diff_dst.
  [[nodiscard]] std::size_t src_bytes() const { return s_.swapped ? phases_bytes(right_bytes()) : left_row_bytes(); }
  [[nodiscard]] std::size_t dst_bytes() const { return s_.swapped ? left_bytes() : right_bytes(); }
  // Pixels that a packed row takes (of the source: per phase): at least `phase_width` and `width`.
  [[nodiscard]] int64_t src_pixels() const { return s_.swapped ? right_pixels() : left_pixels(); }
  [[nodiscard]] int64_t dst_pixels() const { return s_.swapped ? left_pixels() : right_pixels(); }
  // Packs a row. `pixels` are addresses of their first channels. A row of the source is packed phase by phase, in
  // order.
  void put_src(const void* const* pixels, int64_t phase, char* to) const {
    if (s_.swapped) return put_right(pixels, to + static_cast<std::size_t>(phase) * right_bytes());
    put_left_phase(pixels, phase, to);
  }
  void put_dst(const void* const* pixels, char* to) const {
    if (s_.swapped) return put_left(pixels, to);
    put_right(pixels, to);
  }

  // Each thread calls begin() before, and end() after all its calls of add(), which adds a band's products to `sums`.
  virtual void begin() const {}
  virtual void end() const {}
  virtual void add(const ProductRows& band, float* sums) const = 0;
  // Floats of the sums, and where a tap's sums of row `left` have columns [right, right + 16).
  [[nodiscard]] virtual int64_t sums_floats() const = 0;
  [[nodiscard]] virtual int64_t sums_at(int64_t tap, int64_t left, int64_t right) const = 0;

 protected:
  [[nodiscard]] virtual bool left_in_place() const { return false; }
  [[nodiscard]] virtual bool right_in_place() const { return false; }
  [[nodiscard]] virtual std::size_t left_bytes() const = 0;
  [[nodiscard]] virtual std::size_t right_bytes() const = 0;
  [[nodiscard]] virtual int64_t left_pixels() const = 0;
  [[nodiscard]] virtual int64_t right_pixels() const = 0;
  virtual void put_left(const void* const* pixels, char* to) const = 0;
  // The same for the source as operand A, all phases.
  [[nodiscard]] virtual std::size_t left_row_bytes() const { return phases_bytes(left_bytes()); }
  virtual void put_left_phase(const void* const* pixels, int64_t phase, char* row) const {
    put_left(pixels, row + static_cast<std::size_t>(phase) * left_bytes());
  }
  virtual void put_right(const void* const* pixels, char* to) const = 0;

  // Row i of the band as operand A, for a tap, and as operand B.
  [[nodiscard]] const char* left(const ProductRows& band, const ProductTap& tap, int64_t i) const {
    return s_.swapped ? band.dst[i] : band.src[tap.row + i * s_.row_stride];
  }
  [[nodiscard]] const char* right(const ProductRows& band, int64_t i) const {
    return s_.swapped ? band.src[i * s_.row_stride] : band.dst[i];
  }

  [[nodiscard]] std::size_t phases_bytes(std::size_t bytes) const {
    return static_cast<std::size_t>(s_.phases) * bytes;
  }
  [[nodiscard]] int64_t taps() const { return static_cast<int64_t>(s_.taps.size()); }

  ProductSides s_;

 private:
  std::string name_;
};

// One maker for each kind. The narrow ones are null for channels and windows that they do not take.
std::unique_ptr<const Products> narrow_1x1_products(DType type, ProductSides sides);
std::unique_ptr<const Products> narrow_3x3_products(DType type, ProductSides sides);
// Requires AMX.
std::unique_ptr<const Products> amx_products(ProductSides sides);
// Requires gemm_loops(type).
std::unique_ptr<const Products> vector_products(DType type, ProductSides sides);

}  // namespace hourglass::kernels
