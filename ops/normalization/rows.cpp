#include "ops/normalization/rows.h"

#include <algorithm>
#include <type_traits>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/math.h"

namespace hourglass::kernels {
namespace {

// The periods of a row lie below each other, as the lines of a table do. The loops go down the columns of that table, a
// constant number of columns at a time, so that their coefficients and sums stay in AVX-512's registers.
struct Columns {
  int64_t first, count;  // columns of a period
  int64_t line, lines;
};

// fn(columns, constant) for a row of `count` elements, where constant() is columns.count, or 0 where that is not
// constant.
template <typename Function>
void for_columns(int64_t count, int64_t period, const Function& fn) {
  const int64_t lines = count / period, rest = count % period;
  const auto in_steps = [&](auto step) {
    for (int64_t first = 0; first < period; first += step()) fn(Columns{first, step(), 0, lines}, step);
  };
  using std::integral_constant;
  if (period % 64 == 0) {
    in_steps(integral_constant<int, 64>());
  } else if (period % 48 == 0) {
    in_steps(integral_constant<int, 48>());
  } else if (period % 32 == 0) {
    in_steps(integral_constant<int, 32>());
  } else if (period % 16 == 0) {
    in_steps(integral_constant<int, 16>());
  } else {
    fn(Columns{0, period, 0, lines}, integral_constant<int, 0>());
  }
  if (rest > 0) fn(Columns{0, rest, lines, 1}, integral_constant<int, 0>());
}

template <class T, int kColumns>
HG_CLONES void add_moments_columns(const T* x, int64_t period, int64_t lines, int64_t columns,
                                   const float* __restrict shift, float* __restrict sum, float* __restrict square) {
  if constexpr (kColumns > 0) columns = kColumns;
  float local[2][std::max(kColumns, 1)];
  float *a = kColumns > 0 ? local[0] : sum, *b = kColumns > 0 ? local[1] : square;
  if constexpr (kColumns > 0) {
    for (int64_t j = 0; j < columns; ++j) a[j] = sum[j];
    for (int64_t j = 0; j < columns; ++j) b[j] = square[j];
  }
  for (int64_t i = 0; i < lines; ++i, x += period) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const float d = load(x + j) - shift[j];
      a[j] += d;
      b[j] += d * d;
    }
  }
  if constexpr (kColumns > 0) {
    for (int64_t j = 0; j < columns; ++j) sum[j] = a[j];
    for (int64_t j = 0; j < columns; ++j) square[j] = b[j];
  }
}

template <class T, int kColumns>
HG_CLONES void normalize_columns(const T* x, int64_t period, T* y, int64_t step, int64_t lines, int64_t columns,
                                 const float* __restrict center, const float* __restrict factor,
                                 const float* __restrict offset, float alpha) {
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = 0; i < lines; ++i, x += period, y += step) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const float value = (load(x + j) - center[j]) * factor[j] + offset[j];
      store(y + j, value > 0 ? value : alpha * value);
    }
  }
}

// g times the slope of LeakyRelu at y. Relu chooses: g may be infinite where it is dead.
HG_INLINE float activation_gradient(float y, float g, float alpha) {
  const float scaled = alpha == 0 ? 0.0F : alpha * g;
  return y > 0 ? g : scaled;
}

template <class T, class D, int kColumns>
HG_CLONES void grad_sums_columns(const D* dy, int64_t step, const T* x, int64_t period, int64_t lines, int64_t columns,
                                 const float* __restrict center, const float* __restrict factor,
                                 const float* __restrict offset, float alpha, float* __restrict sum,
                                 float* __restrict product) {
  if constexpr (kColumns > 0) columns = kColumns;
  float local[2][std::max(kColumns, 1)];
  float *a = kColumns > 0 ? local[0] : sum, *b = kColumns > 0 ? local[1] : product;
  if constexpr (kColumns > 0) {
    for (int64_t j = 0; j < columns; ++j) a[j] = b[j] = 0;
  }
  for (int64_t i = 0; i < lines; ++i, dy += step, x += period) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const float d = load(x + j) - center[j];
      const float g = load(dy + j);
      const float z = activation_gradient(d * factor[j] + offset[j], g, alpha);
      a[j] += z;
      b[j] += z * d;
    }
  }
  if constexpr (kColumns > 0) {
    for (int64_t j = 0; j < columns; ++j) sum[j] = a[j];
    for (int64_t j = 0; j < columns; ++j) product[j] = b[j];
  }
}

template <class T, class D, int kColumns>
HG_CLONES void grad_apply_columns(const D* dy, int64_t step, const T* x, T* dx, int64_t period, int64_t lines,
                                  int64_t columns, const float* __restrict center, const float* __restrict factor,
                                  const float* __restrict offset, const float* __restrict slope,
                                  const float* __restrict constant, float alpha) {
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = 0; i < lines; ++i, dy += step, x += period, dx += period) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const float d = load(x + j) - center[j];
      const float g = load(dy + j);
      const float z = activation_gradient(d * factor[j] + offset[j], g, alpha);
      store(dx + j, factor[j] * z + (slope[j] * d + constant[j]));
    }
  }
}

}  // namespace

template <class T>
HG_CLONES void sum_row(const T* src, int64_t count, int64_t period, float* sum) {
  for (int64_t j = 0; j < period; ++j) sum[j] = 0;
  for (int64_t i = 0; i < count; i += period) {
    const T* x = src + i;
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) sum[j] += load(x + j);
  }
}

template <class T>
void add_moments_row(const T* src, int64_t count, int64_t period, const float* shift, float* sum, float* square) {
  for_columns(count, period, [&](const Columns& c, auto constant) {
    add_moments_columns<T, constant()>(src + c.line * period + c.first, period, c.lines, c.count, shift + c.first,
                                       sum + c.first, square + c.first);
  });
}

HG_CLONES void fold_row(const float* vector, int64_t period, int64_t block, double* out) {
  if (block == 1) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < period; ++j) sum += static_cast<double>(vector[j]);
    *out = sum;
    return;
  }
  for (int64_t lane = 0; lane < block; ++lane) out[lane] = 0;
  for (int64_t j = 0; j < period; j += block) {
    for (int64_t lane = 0; lane < block; ++lane) out[lane] += static_cast<double>(vector[j + lane]);
  }
}

template <class T>
void normalize_row(const T* src, T* dst, int64_t step, int64_t count, int64_t period, const Coefficients& k,
                   float alpha) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    if (const Bf16Rows* rows = bf16_rows()) return rows->normalize(src, dst, step, count, period, k, alpha);
  }
  for_columns(count, period, [&](const Columns& c, auto constant) {
    normalize_columns<T, constant()>(src + c.line * period + c.first, period, dst + c.line * step + c.first, step,
                                     c.lines, c.count, k.center + c.first, k.factor + c.first, k.offset + c.first,
                                     alpha);
  });
}

template <class T, class D>
void grad_sums_row(const D* diff_dst, int64_t step, const T* src, int64_t count, int64_t period, const Coefficients& k,
                   float alpha, float* sum, float* product) {
  std::fill_n(sum, period, 0.0F);
  std::fill_n(product, period, 0.0F);
  for_columns(count, period, [&](const Columns& c, auto constant) {
    grad_sums_columns<T, D, constant()>(diff_dst + c.line * step + c.first, step, src + c.line * period + c.first,
                                        period, c.lines, c.count, k.center + c.first, k.factor + c.first,
                                        k.offset + c.first, alpha, sum + c.first, product + c.first);
  });
}

template <class T, class D>
void grad_apply_row(const D* diff_dst, int64_t step, const T* src, T* diff_src, int64_t count, int64_t period,
                    const Coefficients& k, float alpha) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    if (const Bf16Rows* rows = bf16_rows()) {
      if constexpr (std::is_same_v<D, float>) {
        return rows->grad_apply_wide(diff_dst, step, src, diff_src, count, period, k, alpha);
      } else {
        return rows->grad_apply(diff_dst, step, src, diff_src, count, period, k, alpha);
      }
    }
  }
  for_columns(count, period, [&](const Columns& c, auto constant) {
    const int64_t at = c.line * period + c.first;
    grad_apply_columns<T, D, constant()>(diff_dst + c.line * step + c.first, step, src + at, diff_src + at, period,
                                         c.lines, c.count, k.center + c.first, k.factor + c.first, k.offset + c.first,
                                         k.slope + c.first, k.constant + c.first, alpha);
  });
}

template void sum_row<float>(const float*, int64_t, int64_t, float*);
template void sum_row<BFloat16>(const BFloat16*, int64_t, int64_t, float*);
template void add_moments_row<float>(const float*, int64_t, int64_t, const float*, float*, float*);
template void add_moments_row<BFloat16>(const BFloat16*, int64_t, int64_t, const float*, float*, float*);
template void normalize_row<float>(const float*, float*, int64_t, int64_t, int64_t, const Coefficients&, float);
template void normalize_row<BFloat16>(const BFloat16*, BFloat16*, int64_t, int64_t, int64_t, const Coefficients&,
                                      float);
template void grad_sums_row<float, float>(const float*, int64_t, const float*, int64_t, int64_t, const Coefficients&,
                                          float, float*, float*);
template void grad_sums_row<BFloat16, BFloat16>(const BFloat16*, int64_t, const BFloat16*, int64_t, int64_t,
                                                const Coefficients&, float, float*, float*);
template void grad_sums_row<BFloat16, float>(const float*, int64_t, const BFloat16*, int64_t, int64_t,
                                             const Coefficients&, float, float*, float*);
template void grad_apply_row<float, float>(const float*, int64_t, const float*, float*, int64_t, int64_t,
                                           const Coefficients&, float);
template void grad_apply_row<BFloat16, BFloat16>(const BFloat16*, int64_t, const BFloat16*, BFloat16*, int64_t, int64_t,
                                                 const Coefficients&, float);
template void grad_apply_row<BFloat16, float>(const float*, int64_t, const BFloat16*, BFloat16*, int64_t, int64_t,
                                              const Coefficients&, float);

}  // namespace hourglass::kernels
