// Static shapes and element types.
//
// A Shape is a list of extents, outermost first (activations: N C H W; convolution weights: OC IC KH KW).
// Rank 0 is a scalar with one element. Extents are >= 0 and their product fits int64 (checked on construction).
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace hourglass {

using Dims = std::vector<int64_t>;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(Dims(dims)) {}
  // Throws Error when an extent is negative or the number of elements overflows.
  explicit Shape(Dims dims);

  [[nodiscard]] int rank() const { return static_cast<int>(dims_.size()); }
  // axis may be negative, counted from the back, as in ONNX; it must be in [-rank, rank).
  [[nodiscard]] int64_t operator[](int axis) const;
  [[nodiscard]] const Dims& dims() const { return dims_; }
  [[nodiscard]] int64_t elements() const { return elements_; }
  // Row-major strides in elements.
  [[nodiscard]] Dims strides() const;
  // "1x3x512x512"; a scalar is "scalar".
  [[nodiscard]] std::string to_string() const;

  bool operator==(const Shape& other) const { return dims_ == other.dims_; }

 private:
  Dims dims_;
  int64_t elements_ = 1;
};

// The shape that numpy-style broadcasting of a and b gives; throws Error when they don't match.
Shape broadcast(const Shape& a, const Shape& b);

// axis in [-rank, rank) -> [0, rank); throws Error otherwise.
int normalize_axis(int64_t axis, int rank);

enum class DType : uint8_t { f32, f64, bf16, f16, i64, i32, u8, i8, boolean };

std::string_view to_string(DType dtype);
std::size_t size_of(DType dtype);
bool is_floating(DType dtype);

}  // namespace hourglass

// As "{}" only. Not templates, and in shape.cpp: formatting is compiled there, once.
template <>
struct fmt::formatter<hourglass::Shape> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  fmt::format_context::iterator format(const hourglass::Shape& shape, fmt::format_context& ctx) const;
};
template <>
struct fmt::formatter<hourglass::DType> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  fmt::format_context::iterator format(hourglass::DType dtype, fmt::format_context& ctx) const;
};
