// Normalisation and resizing of bf16 rows by AVX512_BF16 (ops/simd/bf16_rows.h). Compiled for these instructions
// whatever the build is for: nothing may be included here whose inline functions the rest of the program could pick up.
#include "ops/simd/bf16_rows.h"

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VL__) || !defined(__AVX512BF16__)

namespace hourglass::kernels {
const Bf16Rows* bf16_rows_avx512() { return nullptr; }
}  // namespace hourglass::kernels

#else

#include <immintrin.h>

namespace hourglass::kernels {
namespace {

constexpr int kLanes = 16;

__m512 widen(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }

// How columns are loaded: 16 of them, or fewer by a mask.
struct Whole {
  static __m512 load(const uint16_t* row, int64_t j) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + j)));
  }
  static __m512 load(const float* row, int64_t j) { return _mm512_loadu_ps(row + j); }
  static __m512 number(const float* vector, int64_t j) { return load(vector, j); }
};
struct Masked {
  __mmask16 mask;
  [[nodiscard]] __m512 load(const uint16_t* row, int64_t j) const {
    return widen(_mm256_maskz_loadu_epi16(mask, row + j));
  }
  [[nodiscard]] __m512 load(const float* row, int64_t j) const { return _mm512_maskz_loadu_ps(mask, row + j); }
  [[nodiscard]] __m512 number(const float* vector, int64_t j) const { return load(vector, j); }
};

// y > 0 ? y : alpha * y
__m512 activated(__m512 y, __m512 alpha) {
  return _mm512_mask_mul_ps(y, _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NGT_UQ), alpha, y);
}

// g where y > 0, alpha * g elsewhere; for alpha = 0 that is 0 even where g is infinite.
__m512 activation_gradient(__m512 y, __m512 g, __m512 alpha) {
  const __mmask16 leaks = _mm512_cmp_ps_mask(alpha, _mm512_setzero_ps(), _CMP_NEQ_UQ);
  const __m512 scaled = _mm512_maskz_mul_ps(leaks, alpha, g);
  return _mm512_mask_mov_ps(g, _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NGT_UQ), scaled);
}

struct Normalize {
  struct Numbers {
    __m512 center, factor, offset;
  };
  template <typename At>
  static Numbers numbers(const At& at, const NormalizationCoefficients& k, int64_t j) {
    return {at.number(k.center, j), at.number(k.factor, j), at.number(k.offset, j)};
  }
  template <typename At, typename D>
  static __m512 result(const At& at, const Numbers& n, __m512 alpha, const uint16_t* x, const D*, int64_t j) {
    const __m512 y = _mm512_fmadd_ps(_mm512_sub_ps(at.load(x, j), n.center), n.factor, n.offset);
    return activated(y, alpha);
  }
};

struct GradApply {
  struct Numbers {
    __m512 center, factor, offset, slope, constant;
  };
  template <typename At>
  static Numbers numbers(const At& at, const NormalizationCoefficients& k, int64_t j) {
    return {at.number(k.center, j), at.number(k.factor, j), at.number(k.offset, j), at.number(k.slope, j),
            at.number(k.constant, j)};
  }
  template <typename At, typename D>
  static __m512 result(const At& at, const Numbers& n, __m512 alpha, const uint16_t* x, const D* dy, int64_t j) {
    const __m512 d = _mm512_sub_ps(at.load(x, j), n.center);
    const __m512 y = _mm512_fmadd_ps(d, n.factor, n.offset);
    const __m512 z = activation_gradient(y, at.load(dy, j), alpha);
    return _mm512_fmadd_ps(n.factor, z, _mm512_fmadd_ps(n.slope, d, n.constant));
  }
};

// The rows that are read, x and (or null) dy, the row that is written, and the distances from line to line of each. A
// line is a period of a row; lines lie below each other like a table.
template <class D>
struct RowsInMemory {
  const uint16_t* x;
  const D* dy;
  uint16_t* dst;
  int64_t x_step, dy_step, dst_step;

  [[nodiscard]] RowsInMemory at(int64_t line, int64_t j) const {
    return {x + line * x_step + j,
            dy == nullptr ? nullptr : dy + line * dy_step + j,
            dst + line * dst_step + j,
            x_step,
            dy_step,
            dst_step};
  }
};

// 16 * kVectors columns of all lines; their coefficients stay in registers.
template <class Op, int kVectors, class D>
void whole_columns(RowsInMemory<D> rows, int64_t lines, const NormalizationCoefficients& k, int64_t first,
                   __m512 alpha) {
  typename Op::Numbers numbers[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) numbers[v] = Op::numbers(Whole(), k, first + v * kLanes);
  for (int64_t i = 0; i < lines; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v + 1 < kVectors; v += 2) {
      const __m512 low = Op::result(Whole(), numbers[v], alpha, rows.x, rows.dy, v * kLanes);
      const __m512 high = Op::result(Whole(), numbers[v + 1], alpha, rows.x, rows.dy, (v + 1) * kLanes);
      _mm512_storeu_si512(rows.dst + v * kLanes, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
    if constexpr (kVectors % 2 != 0) {
      constexpr int kLast = kVectors - 1;
      const __m512 last = Op::result(Whole(), numbers[kLast], alpha, rows.x, rows.dy, kLast * kLanes);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(rows.dst + kLast * kLanes),
                          reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(last)));
    }
    rows = rows.at(1, 0);
  }
}

// Any number of columns of one line.
template <class Op, class D>
void some_columns(const RowsInMemory<D>& rows, int64_t columns, const NormalizationCoefficients& k, __m512 alpha) {
  for (int64_t j = 0; j < columns; j += kLanes) {
    const int64_t left = columns - j;
    const Masked masked{static_cast<__mmask16>(left >= kLanes ? 0xffffU : (1U << left) - 1U)};
    const __m512 y = Op::result(masked, Op::numbers(masked, k, j), alpha, rows.x, rows.dy, j);
    _mm256_mask_storeu_epi16(rows.dst + j, masked.mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(y)));
  }
}

template <class Op, class D>
void run(const RowsInMemory<D>& rows, int64_t count, int64_t period, const NormalizationCoefficients& k, float slope) {
  const __m512 alpha = _mm512_set1_ps(slope);
  const int64_t lines = count / period;
  if (period % (4 * kLanes) == 0) {
    for (int64_t j = 0; j < period; j += 4 * kLanes) whole_columns<Op, 4>(rows.at(0, j), lines, k, j, alpha);
  } else if (period % (3 * kLanes) == 0) {
    for (int64_t j = 0; j < period; j += 3 * kLanes) whole_columns<Op, 3>(rows.at(0, j), lines, k, j, alpha);
  } else if (period % (2 * kLanes) == 0) {
    for (int64_t j = 0; j < period; j += 2 * kLanes) whole_columns<Op, 2>(rows.at(0, j), lines, k, j, alpha);
  } else if (period % kLanes == 0) {
    for (int64_t j = 0; j < period; j += kLanes) whole_columns<Op, 1>(rows.at(0, j), lines, k, j, alpha);
  } else {
    for (int64_t i = 0; i < lines; ++i) some_columns<Op>(rows.at(i, 0), period, k, alpha);
  }
  some_columns<Op>(rows.at(lines, 0), count % period, k, alpha);
}

const uint16_t* bits(const BFloat16* p) { return reinterpret_cast<const uint16_t*>(p); }
uint16_t* bits(BFloat16* p) { return reinterpret_cast<uint16_t*>(p); }

void normalize(const BFloat16* src, BFloat16* dst, int64_t step, int64_t count, int64_t period,
               const NormalizationCoefficients& k, float alpha) {
  run<Normalize, uint16_t>({bits(src), nullptr, bits(dst), period, 0, step}, count, period, k, alpha);
}

void grad_apply(const BFloat16* diff_dst, int64_t step, const BFloat16* src, BFloat16* diff_src, int64_t count,
                int64_t period, const NormalizationCoefficients& k, float alpha) {
  run<GradApply, uint16_t>({bits(src), bits(diff_dst), bits(diff_src), period, step, period}, count, period, k, alpha);
}

void grad_apply_wide(const float* diff_dst, int64_t step, const BFloat16* src, BFloat16* diff_src, int64_t count,
                     int64_t period, const NormalizationCoefficients& k, float alpha) {
  run<GradApply, float>({bits(src), diff_dst, bits(diff_src), period, step, period}, count, period, k, alpha);
}

// 16 columns of all lines at a time; their coefficients stay in registers.
void combine(const BFloat16* row_a, const BFloat16* row_b, float a_weight, float b_weight, int64_t count,
             int64_t period, const NormalizationCoefficients& k, float* dst) {
  const uint16_t *a = bits(row_a), *b = bits(row_b);
  const __m512 weight_a = _mm512_set1_ps(a_weight), weight_b = _mm512_set1_ps(b_weight);
  for (int64_t j = 0; j < period; j += kLanes) {
    const Normalize::Numbers n = Normalize::numbers(Whole(), k, j);
    for (int64_t i = j; i < count; i += period) {
      const __m512 x = _mm512_fmadd_ps(weight_a, Whole::load(a, i), _mm512_mul_ps(weight_b, Whole::load(b, i)));
      _mm512_storeu_ps(dst + i, _mm512_fmadd_ps(_mm512_sub_ps(x, n.center), n.factor, n.offset));
    }
  }
}

void gather(const float* src, int32_t first, const int32_t* index, const float* weight, int64_t stride,
            int64_t channels, int64_t period, int64_t src_step, int64_t count, BFloat16* dst, int64_t step) {
  for (int64_t p = 0; p < period && p < count; ++p) {
    const float *a = src + (index[p] - first) * channels, *b = src + (index[stride + p] - first) * channels;
    const __m512 weight_a = _mm512_set1_ps(weight[p]), weight_b = _mm512_set1_ps(weight[stride + p]);
    uint16_t* to = bits(dst) + p * step;
    for (int64_t o = p; o < count; o += period, a += src_step, b += src_step, to += period * step) {
      for (int64_t j = 0; j < channels; j += kLanes) {
        const __m512 y =
            _mm512_fmadd_ps(weight_a, _mm512_loadu_ps(a + j), _mm512_mul_ps(weight_b, _mm512_loadu_ps(b + j)));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + j), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(y)));
      }
    }
  }
}

}  // namespace

const Bf16Rows* bf16_rows_avx512() {
  static constexpr Bf16Rows kRows{normalize, grad_apply, grad_apply_wide, combine, gather};
  return &kRows;
}

}  // namespace hourglass::kernels

#endif
