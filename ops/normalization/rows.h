// The row loops of normalisation: sums, moments, and the elementwise maps of both directions over a run of pixels.
//
// A row is any run of whole pixels. Per-channel numbers come as vectors of `period` elements, a multiple of the
// layout's block, in which the channels repeat: one loop then serves row-major, blocked and channels-last alike.
#pragma once

#include <cstdint>
#include <numeric>

#include "ops/simd/bf16_rows.h"

namespace hourglass::kernels {

using Coefficients = NormalizationCoefficients;

// Vectors of per-channel numbers have so many elements, in which `block` channels repeat: whole vectors of the CPU,
// unless that is too long to be worth it.
inline int64_t loop_period(int64_t block) {
  int64_t period = std::lcm(block, int64_t{16});
  if (period > 1024) period = block;
  return period * ((63 + period) / period);
}

// In all of these T is float or BFloat16, src has `count` elements, and vectors have `period` elements.

// sum[j] = the sum of the elements congruent to j.
template <class T>
void sum_row(const T* src, int64_t count, int64_t period, float* sum);
// Adds (src - shift) and its squares.
template <class T>
void add_moments_row(const T* src, int64_t count, int64_t period, const float* shift, float* sum, float* square);
// out[lane] = the sum of a period's elements that belong to it, in double.
void fold_row(const float* vector, int64_t period, int64_t block, double* out);

// dst = activation((src - center) * factor + offset). The counterpart's periods are `step` elements apart.
template <class T>
void normalize_row(const T* src, T* dst, int64_t step, int64_t count, int64_t period, const Coefficients& k,
                   float alpha);
// The sums of dz and of dz * (src - center). diff_dst has elements of its own type: T, or float.
template <class T, class D>
void grad_sums_row(const D* diff_dst, int64_t step, const T* src, int64_t count, int64_t period, const Coefficients& k,
                   float alpha, float* sum, float* product);
// diff_src = factor * dz + slope * (src - center) + constant.
template <class T, class D>
void grad_apply_row(const D* diff_dst, int64_t step, const T* src, T* diff_src, int64_t count, int64_t period,
                    const Coefficients& k, float alpha);

}  // namespace hourglass::kernels
