// The element types of activations, float and BFloat16, with one pair of functions for both, load() and store():
// arithmetic is done in float, in loops that are templates over the element type.
#pragma once

#include <cstdint>
#include <cstring>

#include "ops/loops/clones.h"

namespace hourglass::kernels {

// bfloat16 as it lies in memory; arithmetic is done in float.
struct BFloat16 {
  uint16_t bits;
};

inline float load(const float* p) { return *p; }
inline float load(const BFloat16* p) {
  const uint32_t bits = static_cast<uint32_t>(p->bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline void store(float* p, float value) { *p = value; }
// Rounds to nearest, ties to even. NaN stays NaN for the payloads that arithmetic makes.
inline void store(BFloat16* p, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  p->bits = static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

template <class T>
HG_CLONES void widen(const T* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = load(from + i);
}

template <class T>
HG_CLONES void narrow(const float* from, int64_t count, T* to) {
  for (int64_t i = 0; i < count; ++i) store(to + i, from[i]);
}

// Calls fn with a null pointer of the element type: with_element(is_bf16, [&](auto* t) { using T =
// std::remove_pointer_t<decltype(t)>; ... }).
template <typename Function>
auto with_element(bool is_bf16, const Function& fn) {
  return is_bf16 ? fn(static_cast<BFloat16*>(nullptr)) : fn(static_cast<float*>(nullptr));
}

}  // namespace hourglass::kernels
