#include "graph/shape.h"

#include <algorithm>

#include "graph/error.h"
#include "graph/text.h"

namespace hourglass {

Shape::Shape(Dims dims) : dims_(std::move(dims)) {
  bool empty = false;
  for (const int64_t extent : dims_) {
    if (extent < 0) fail("shape has a negative extent {}", extent);
    empty = empty || extent == 0;
    // An extent of 0 counts as 1 here, so that strides, whatever they leave out, don't overflow either.
    if (__builtin_mul_overflow(elements_, std::max<int64_t>(extent, 1), &elements_)) {
      fail("shape {} has more elements than a 64-bit count holds", join(dims_, "x"));
    }
  }
  if (empty) elements_ = 0;
}

int64_t Shape::operator[](int axis) const { return dims_[static_cast<std::size_t>(normalize_axis(axis, rank()))]; }

Dims Shape::strides() const {
  Dims strides(dims_.size(), 1);
  for (int axis = rank() - 2; axis >= 0; --axis) {
    const auto a = static_cast<std::size_t>(axis);
    strides[a] = strides[a + 1] * dims_[a + 1];
  }
  return strides;
}

std::string Shape::to_string() const { return dims_.empty() ? "scalar" : join(dims_, "x"); }

Shape broadcast(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Dims dims(static_cast<std::size_t>(rank));
  for (int i = 1; i <= rank; ++i) {
    const int64_t da = i <= a.rank() ? a[-i] : 1;
    const int64_t db = i <= b.rank() ? b[-i] : 1;
    if (da != db && da != 1 && db != 1) fail("shapes {} and {} do not broadcast", a, b);
    dims[static_cast<std::size_t>(rank - i)] = da == 1 ? db : da;
  }
  return Shape(std::move(dims));
}

int normalize_axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) fail("axis {} is outside [{}, {})", axis, -rank, rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::string_view to_string(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::f64: return "f64";
    case DType::bf16: return "bf16";
    case DType::f16: return "f16";
    case DType::i64: return "i64";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
    case DType::i8: return "i8";
    case DType::boolean: return "bool";
  }
  return "?";
}

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16:
    case DType::f16: return 2;
    case DType::u8:
    case DType::i8:
    case DType::boolean: return 1;
  }
  return 0;
}

bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16;
}

}  // namespace hourglass

namespace {

fmt::format_context::iterator append(std::string_view text, fmt::format_context& ctx) {
  return std::copy(text.begin(), text.end(), ctx.out());
}

}  // namespace

fmt::format_context::iterator fmt::formatter<hourglass::Shape>::format(const hourglass::Shape& shape,
                                                                       fmt::format_context& ctx) const {
  return append(shape.to_string(), ctx);
}

fmt::format_context::iterator fmt::formatter<hourglass::DType>::format(hourglass::DType dtype,
                                                                       fmt::format_context& ctx) const {
  return append(hourglass::to_string(dtype), ctx);
}
