// The row loops of BatchNormalization: sums, moments, and the elementwise maps of both directions, over a run of pixels
// in f32 or bf16.
//
// A row is any run of whole pixels. Per-channel numbers come as vectors of `period` elements, a multiple of the
// layout's channel block, in which the channels repeat; so one loop serves row-major, blocked and channels-last
// layouts. The same loops in AVX512_BF16 are in ops/simd/bf16_rows.h.
#pragma once

#include <cstdint>
#include <numeric>

#include "ops/simd/bf16_rows.h"

namespace hourglass::kernels {

using Coefficients = NormalizationCoefficients;

// The period for a channel block: a multiple of `block` and of 16, at least 64; where that would be longer than 1024,
// of `block` alone.
inline int64_t loop_period(int64_t block) {
  int64_t period = std::lcm(block, int64_t{16});
  if (period > 1024) period = block;
  return period * ((63 + period) / period);
}

// In all of these T is float or BFloat16, src has `count` elements, and vectors of per-channel numbers have `period`.

// sum[j] = the sum of elements j, j + period, j + 2 * period, ...
template <class T>
void sum_row(const T* src, int64_t count, int64_t period, float* sum);
// Adds src - shift to sum, and its square to square.
template <class T>
void add_moments_row(const T* src, int64_t count, int64_t period, const float* shift, float* sum, float* square);
// out[lane] = the sum over a period of the elements of that lane of the channel block, in double.
void fold_row(const float* vector, int64_t period, int64_t block, double* out);

// dst = LeakyRelu_alpha((src - center) * factor + offset). Periods of dst are `step` elements apart.
template <class T>
void normalize_row(const T* src, T* dst, int64_t step, int64_t count, int64_t period, const Coefficients& k,
                   float alpha);
// sum = the sum of dz, product = the sum of dz * (src - center), where dz is diff_dst times the activation's slope.
// Periods of diff_dst, which is of type T or float, are `step` elements apart.
template <class T, class D>
void grad_sums_row(const D* diff_dst, int64_t step, const T* src, int64_t count, int64_t period, const Coefficients& k,
                   float alpha, float* sum, float* product);
// diff_src = factor * dz + slope * (src - center) + constant.
template <class T, class D>
void grad_apply_row(const D* diff_dst, int64_t step, const T* src, T* diff_src, int64_t count, int64_t period,
                    const Coefficients& k, float alpha);

}  // namespace hourglass::kernels
