// A tensor on the host: constants, initial weights, and everything the double-precision references compute.
//
// Elements are kept as doubles whatever the dtype says. That makes one reference implementation per op serve
// three masters: constant folding (integers up to 2^53 are exact; int64 beyond it saturate), the oracle for
// the kernels, and central differences. It is never on the path of an iteration.
#pragma once

#include <vector>

#include "graph/shape.h"

namespace hourglass {

struct HostTensor {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<double> values;  // row-major, shape.elements() of them

  HostTensor() = default;
  // Zero-filled.
  HostTensor(DType dtype_, Shape shape_)
      : dtype(dtype_), shape(std::move(shape_)), values(static_cast<std::size_t>(shape.elements())) {}
  HostTensor(DType dtype_, Shape shape_, std::vector<double> values_);

  // 1-D i64.
  static HostTensor ints(const Dims& values);
  // Rank 0.
  static HostTensor scalar(DType dtype, double value);

  // The elements as integers, saturated to int64. Throws Error when dtype is floating and a value is not whole.
  [[nodiscard]] Dims to_ints() const;
};

}  // namespace hourglass
