#include "graph/tensor.h"

#include <cmath>
#include <limits>

#include "graph/error.h"

namespace hourglass {

HostTensor::HostTensor(DType dtype_, Shape shape_, std::vector<double> values_)
    : dtype(dtype_), shape(std::move(shape_)), values(std::move(values_)) {
  if (static_cast<int64_t>(values.size()) != shape.elements()) {
    fail("tensor of shape {} has {} values", shape, values.size());
  }
}

HostTensor HostTensor::ints(const Dims& values) {
  return {DType::i64, Shape({static_cast<int64_t>(values.size())}), {values.begin(), values.end()}};
}

HostTensor HostTensor::scalar(DType dtype, double value) { return {dtype, Shape{}, {value}}; }

Dims HostTensor::to_ints() const {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  Dims result;
  result.reserve(values.size());
  for (const double value : values) {
    if (std::isnan(value) || (is_floating(dtype) && value != std::floor(value))) {
      fail("{} is not a whole number", value);
    }
    if (value >= kLimit) {
      result.push_back(std::numeric_limits<int64_t>::max());
    } else if (value < -kLimit) {
      result.push_back(std::numeric_limits<int64_t>::min());
    } else {
      result.push_back(static_cast<int64_t>(value));
    }
  }
  return result;
}

}  // namespace hourglass
