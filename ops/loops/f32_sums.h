// Sums in f32 of a result that may be bf16: in the result itself or, where it is bf16, in scratch memory that is
// rounded into it at the end.
#pragma once

#include <cstdint>
#include <type_traits>

#include "ops/kernel.h"
#include "ops/loops/element.h"

namespace hourglass::kernels {

// Of dst[0] of a kernel that has f32_sums_bytes() of scratch memory and no other.
template <class T>
class F32Sums {
 public:
  static constexpr bool kInPlace = std::is_same_v<T, float>;

  explicit F32Sums(const Addresses& at)
      : sums_(static_cast<float*>(kInPlace ? at.dst[0] : at.scratch)), dst_(static_cast<T*>(at.dst[0])) {}
  [[nodiscard]] float* data() const { return sums_; }
  // Rounds the sums [begin, end) into the result.
  void finish(int64_t begin, int64_t end) const {
    if constexpr (!kInPlace) narrow(sums_ + begin, end - begin, dst_ + begin);
  }

 private:
  float* sums_;
  T* dst_;
};

inline std::size_t f32_sums_bytes(const TensorType& dst) {
  return dst.dtype == DType::f32 ? 0 : static_cast<std::size_t>(dst.shape.elements()) * sizeof(float);
}

}  // namespace hourglass::kernels
