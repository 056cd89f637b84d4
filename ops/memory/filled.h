// A constant tensor, the same f32 number everywhere, for ops that are lowered to a composition of others.
#pragma once

#include <algorithm>

#include "graph/error.h"
#include "graph/tensor.h"

namespace hourglass::kernels {

// Throws Error for more elements than an image of 64 megapixels has: shapes may come from a hostile file.
inline HostTensor filled(Shape shape, double value) {
  constexpr int64_t kMaxElements = int64_t{1} << 26;
  if (shape.elements() > kMaxElements) fail("needs a constant of {}, more than {} elements", shape, kMaxElements);
  HostTensor tensor(DType::f32, std::move(shape));
  std::fill(tensor.values.begin(), tensor.values.end(), value);
  return tensor;
}

}  // namespace hourglass::kernels
