// What our own loops are made of: elements, threads, and run-time choice of the instruction set.
//
// The build is portable (no -march=native). Inner loops over a row are marked HG_CLONES: the compiler makes one
// version per x86-64 level and the loader picks the best for the CPU at hand. The parallel loop stands outside:
//
//   template <class T> HG_CLONES void scale_row(const T* src, T* dst, int64_t count, float factor) {
//     for (int64_t i = 0; i < count; ++i) store(dst + i, load(src + i) * factor);
//   }
//   parallel_for(rows, [&](int64_t row) { scale_row(...); });
//
// Lambdas and OpenMP regions are not cloned, so the arithmetic must be in the marked function.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <omp.h>

#include "ops/loops/work_stealing.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define HG_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HG_CLONES
#endif

namespace hourglass::detail {

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

template <class T>
HG_CLONES void add_run(const T* from, T* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) store(to + i, load(to + i) + load(from + i));
}

template <class From, class To>
HG_CLONES void add_scaled(const From* from, float factor, int64_t count, To* to) {
  for (int64_t i = 0; i < count; ++i) store(to + i, load(to + i) + factor * load(from + i));
}

// To the first of the parts' sums, which are `stride` floats apart. A template, as all of these, so that headers may
// have it.
template <class T>
HG_CLONES void add_parts(T* sums, int64_t count, int64_t stride, int64_t parts) {
  for (int64_t part = 1; part < parts; ++part) {
    const T* from = sums + part * stride;
    for (int64_t i = 0; i < count; ++i) store(sums + i, load(sums + i) + load(from + i));
  }
}

// Parts into which parallel loops cut their work: a thread that is done takes over some that another one has not begun
// (ops/loops/work_stealing.h).
constexpr int64_t kPartsPerThread = 16;
inline int64_t parts_of(int64_t count) {
  const int64_t threads = omp_get_max_threads();
  return std::min<int64_t>(count, threads == 1 ? 1 : kPartsPerThread * threads);
}

// body(thread, take) once per thread of parts [0, parts): take() gives the thread its next part, or -1 when there is
// none left. They come in order, one behind the other, but where a thread goes on with another one's. Which thread has
// which part differs from run to run: sums that must not belong to parts.
template <typename Body>
void parallel_parts(int64_t parts, const Body& body) {
  Shares shares(parts, omp_get_max_threads());
#pragma omp parallel
  {
    const int64_t me = omp_get_thread_num();
    body(me, [&] { return shares.take(me); });
  }
}

// body(i) for i in [0, count), in parts.
template <typename Body>
void parallel_for(int64_t count, const Body& body) {
  const int64_t parts = parts_of(count);
  parallel_parts(parts, [&](int64_t, const auto& take) {
    for (int64_t part = take(); part >= 0; part = take()) {
      for (int64_t i = count * part / parts; i < count * (part + 1) / parts; ++i) body(i);
    }
  });
}

// body(begin, end) over ranges that together are [0, count), and whose borders are multiples of `grain`, in parts.
template <typename Body>
void parallel_ranges(int64_t count, int64_t grain, const Body& body) {
  const int64_t chunks = (count + grain - 1) / grain, parts = parts_of(chunks);
  parallel_for(parts, [&](int64_t part) {
    const int64_t begin = chunks * part / parts * grain, end = chunks * (part + 1) / parts * grain;
    body(begin, end < count ? end : count);
  });
}

// Calls fn with a null pointer of the element type that a floating DType stands for: with_element(type, [&](auto* t)
// { using T = std::remove_pointer_t<decltype(t)>; ... }).
template <typename Function>
auto with_element(bool is_bf16, const Function& fn) {
  return is_bf16 ? fn(static_cast<BFloat16*>(nullptr)) : fn(static_cast<float*>(nullptr));
}

}  // namespace hourglass::detail
