// The products that a convolution's gradient of the weights is made of: for each tap of the filter, a matrix product of
// the source's channels and the gradient's, summed over the pixels of a band of rows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Most rows of the gradient in a band.
constexpr int64_t kBandRows = 16;

// A row of the source has its columns by phase: with a stride of 2 the even ones and the odd ones, so that those of one
// tap lie side by side. `row` counts from the first row that the window touches, `place` within the phase.
struct ProductTap {
  int64_t row = 0, phase = 0, place = 0;
};

// What the products are made of. Rows of the products are the source's channels and columns the gradient's or, swapped,
// the other way round.
struct ProductSides {
  int64_t src_channels = 0, dst_channels = 0;
  bool swapped = false;
  int64_t width = 0;   // pixels of a row of the gradient
  int64_t places = 0;  // of a phase of a row of the source
  int64_t phases = 1;
  int64_t row_stride = 1, column_stride = 1;  // from a pixel of the gradient to the next, in the source
  bool padded = false;                        // some windows leave the source
  std::vector<ProductTap> taps;

  [[nodiscard]] int64_t left() const { return swapped ? dst_channels : src_channels; }
  [[nodiscard]] int64_t right() const { return swapped ? src_channels : dst_channels; }
};

// A band's rows, in the form of their side.
struct ProductRows {
  const char* const* src = nullptr;  // from the first row of the source that the band touches on
  const char* const* dst = nullptr;  // the gradient's
  int64_t count = 0;                 // of the gradient
};

// Of a convolution in one group.
ProductSides product_sides(const Convolution& conv);

// One kind of instructions: the form of both sides and of the sums.
class Products {
 public:
  Products(ProductSides sides, std::string name) : s_(std::move(sides)), name_(std::move(name)) {}
  virtual ~Products() = default;
  [[nodiscard]] const ProductSides& sides() const { return s_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  // Whether the image's own rows are the form.
  [[nodiscard]] bool src_in_place() const { return s_.swapped ? right_in_place() : left_in_place(); }
  [[nodiscard]] bool dst_in_place() const { return s_.swapped ? left_in_place() : right_in_place(); }
  // Sizes of a row of the source, all phases of it, and of a row of the gradient.
  [[nodiscard]] std::size_t src_bytes() const { return s_.swapped ? phases_bytes(right_bytes()) : left_row_bytes(); }
  [[nodiscard]] std::size_t dst_bytes() const { return s_.swapped ? left_bytes() : right_bytes(); }
  // How many pixels of each are put at a time: at least `places` and `width`.
  [[nodiscard]] int64_t src_pixels() const { return s_.swapped ? right_pixels() : left_pixels(); }
  [[nodiscard]] int64_t dst_pixels() const { return s_.swapped ? left_pixels() : right_pixels(); }
  // Pixels are addresses of their first channel. A row of the source is put phase by phase, in order.
  void put_src(const void* const* pixels, int64_t phase, char* to) const {
    if (s_.swapped) return put_right(pixels, to + static_cast<std::size_t>(phase) * right_bytes());
    put_left_phase(pixels, phase, to);
  }
  void put_dst(const void* const* pixels, char* to) const {
    if (s_.swapped) return put_left(pixels, to);
    put_right(pixels, to);
  }

  // Each thread calls begin() before, and end() after all that it adds.
  virtual void begin() const {}
  virtual void end() const {}
  virtual void add(const ProductRows& band, float* sums) const = 0;
  // How many floats the sums are, and where row `left` of a tap's has the columns [right, right + 16).
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
  // Of the source, where it is the left side.
  [[nodiscard]] virtual std::size_t left_row_bytes() const { return phases_bytes(left_bytes()); }
  virtual void put_left_phase(const void* const* pixels, int64_t phase, char* row) const {
    put_left(pixels, row + static_cast<std::size_t>(phase) * left_bytes());
  }
  virtual void put_right(const void* const* pixels, char* to) const = 0;

  // Both sides of pixel row i of the band, for a tap.
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

// One maker for each kind. The narrow ones are null for sides that they do not take.
std::unique_ptr<const Products> narrow_1x1_products(DType type, ProductSides sides);
std::unique_ptr<const Products> narrow_3x3_products(DType type, ProductSides sides);
// Where the CPU has AMX.
std::unique_ptr<const Products> amx_products(ProductSides sides);
// Where gemm_loops() has them for `type`.
std::unique_ptr<const Products> vector_products(DType type, ProductSides sides);

}  // namespace hourglass::kernels
