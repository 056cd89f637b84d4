// Compiled for AVX-512 and AVX512_BF16 whatever the build is for: nothing here may be called without asking the CPU,
// and nothing may be included whose inline functions the rest of the program could get from here.
#include "ops/detail/winograd_loops.h"

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VL__) || !defined(__AVX512BF16__)

namespace hourglass::detail {
const WinogradLoops* winograd_avx512() { return nullptr; }
}  // namespace hourglass::detail

#else

#include <immintrin.h>

namespace hourglass::detail {
namespace {

using Vector = __m512;

constexpr int kLanes = 16;
constexpr int kTile = 6, kOut = 4, kPoints = kTile * kTile;

// The points of the transform are 0, +-kA, +-kB and infinity. These make bf16's rounding least visible: an RMS error of
// 1.1 % of the output's for noise, 0.3 % for a smooth image, against 2.4 % and 0.8 % with 0, +-1, +-2.
//   Winograd, Arithmetic complexity of computations, 1980; Lavin and Gray, CVPR 2016.
constexpr float kA = 0.70710678118654752F, kB = 1.4142135623730951F;  // squares 1/2 and 2
constexpr float kNormA = -2.0F / 3, kNormB = 1.0F / 6;                // 1 / product of the distances to other points

inline Vector set(float x) { return _mm512_set1_ps(x); }
inline Vector fma(float k, Vector x, Vector y) { return _mm512_fmadd_ps(set(k), x, y); }  // k x + y
inline Vector mul(float k, Vector x) { return _mm512_mul_ps(set(k), x); }
inline Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
inline Vector sub(Vector x, Vector y) { return _mm512_sub_ps(x, y); }

// B^T d: source to points.
inline void source_to_points(const Vector d[kTile], Vector v[kTile]) {
  const Vector even_a = fma(-2.0F, d[2], d[4]), odd_a = fma(-2.0F, d[1], d[3]);
  const Vector even_b = fma(-0.5F, d[2], d[4]), odd_b = fma(-0.5F, d[1], d[3]);
  v[0] = fma(-2.5F, d[2], add(d[0], d[4]));
  v[1] = fma(kA, odd_a, even_a);
  v[2] = fma(-kA, odd_a, even_a);
  v[3] = fma(kB, odd_b, even_b);
  v[4] = fma(-kB, odd_b, even_b);
  v[5] = fma(-2.5F, d[3], add(d[1], d[5]));
}

// G g: filter to points.
inline void filter_to_points(const Vector g[3], Vector v[kTile]) {
  const Vector even_a = mul(kNormA, fma(0.5F, g[2], g[0])), odd_a = mul(kNormA * kA, g[1]);
  const Vector even_b = mul(kNormB, fma(2.0F, g[2], g[0])), odd_b = mul(kNormB * kB, g[1]);
  v[0] = g[0];
  v[1] = add(even_a, odd_a);
  v[2] = sub(even_a, odd_a);
  v[3] = add(even_b, odd_b);
  v[4] = sub(even_b, odd_b);
  v[5] = g[2];
}

// A^T m: points to output.
inline void points_to_output(const Vector m[kTile], Vector y[kOut]) {
  const Vector even_a = add(m[1], m[2]), odd_a = sub(m[1], m[2]);
  const Vector even_b = add(m[3], m[4]), odd_b = sub(m[3], m[4]);
  y[0] = add(m[0], add(even_a, even_b));
  y[1] = fma(kB, odd_b, mul(kA, odd_a));
  y[2] = fma(2.0F, even_b, mul(0.5F, even_a));
  y[3] = fma(2.0F * kB, odd_b, fma(0.5F * kA, odd_a, m[5]));
}

// A y: a gradient of the output to points.
inline void output_to_points(const Vector y[kOut], Vector v[kTile]) {
  const Vector even_a = fma(0.5F, y[2], y[0]), odd_a = mul(kA, fma(0.5F, y[3], y[1]));
  const Vector even_b = fma(2.0F, y[2], y[0]), odd_b = mul(kB, fma(2.0F, y[3], y[1]));
  v[0] = y[0];
  v[1] = add(even_a, odd_a);
  v[2] = sub(even_a, odd_a);
  v[3] = add(even_b, odd_b);
  v[4] = sub(even_b, odd_b);
  v[5] = y[3];
}

// G^T m: points to a gradient of the filter.
inline void points_to_filter(const Vector m[kTile], Vector g[3]) {
  const Vector even_a = mul(kNormA, add(m[1], m[2])), odd_a = mul(kNormA * kA, sub(m[1], m[2]));
  const Vector even_b = mul(kNormB, add(m[3], m[4])), odd_b = mul(kNormB * kB, sub(m[3], m[4]));
  g[0] = add(m[0], add(even_a, even_b));
  g[1] = add(odd_a, odd_b);
  g[2] = fma(2.0F, even_b, fma(0.5F, even_a, m[5]));
}

// transform(in, out) along the columns, then along the rows: from kIn x kIn to kTo x kTo.
template <int kIn, int kTo, typename Load, typename Transform, typename Store>
inline void in_two_dimensions(const Load& load, const Transform& transform, const Store& store) {
  Vector columns[kTo][kIn];
#pragma GCC unroll 6
  for (int j = 0; j < kIn; ++j) {
    Vector in[kIn], out[kTo];
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) in[i] = load(i * kIn + j);
    transform(in, out);
#pragma GCC unroll 6
    for (int i = 0; i < kTo; ++i) columns[i][j] = out[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < kTo; ++i) {
    Vector out[kTo];
    transform(columns[i], out);
#pragma GCC unroll 6
    for (int j = 0; j < kTo; ++j) store(i * kTo + j, out[j]);
  }
}

// ---- elements

inline __mmask16 lanes(int64_t count) { return static_cast<__mmask16>(count >= kLanes ? 0xffff : (1U << count) - 1U); }

inline Vector widen(__m256i bf16) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16)); }
inline __m256i narrow(Vector x) { return (__m256i)_mm512_cvtneps_pbh(x); }

struct F32 {
  static constexpr int64_t kBytes = 4;
  static Vector load(const void* pixel, int64_t c, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, static_cast<const float*>(pixel) + c);
  }
  static void store(void* pixel, int64_t c, __mmask16 mask, Vector x) {
    _mm512_mask_storeu_ps(static_cast<float*>(pixel) + c, mask, x);
  }
  static Vector gather(const void* base, __m512i index, __mmask16 mask) {
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, index, base, 4);
  }
  static Vector dot(Vector sum, uint32_t a, Vector b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(a))), b, sum);
  }
};

struct BF16 {
  static constexpr int64_t kBytes = 2;
  static Vector load(const void* pixel, int64_t c, __mmask16 mask) {
    return widen(_mm256_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(pixel) + c));
  }
  static void store(void* pixel, int64_t c, __mmask16 mask, Vector x) {
    _mm256_mask_storeu_epi16(static_cast<uint16_t*>(pixel) + c, mask, narrow(x));
  }
  static Vector gather(const void* base, __m512i index, __mmask16 mask) {
    alignas(64) int32_t at[kLanes];
    alignas(64) uint32_t bits[kLanes] = {};
    _mm512_store_si512(at, index);
    for (int i = 0; i < kLanes; ++i) {
      if ((mask >> i & 1) != 0) bits[i] = static_cast<uint32_t>(static_cast<const uint16_t*>(base)[at[i]]) << 16;
    }
    return _mm512_castsi512_ps(_mm512_load_si512(bits));
  }
  static Vector dot(Vector sum, uint32_t a, Vector b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(static_cast<int>(a)), (__m512bh)b);
  }
};

// Words of two bf16 each: `low` and `high`.
inline __m512i pair(Vector low, Vector high) {
  const __m512i l = _mm512_cvtepu16_epi32(narrow(low)), h = _mm512_cvtepu16_epi32(narrow(high));
  return _mm512_or_si512(l, _mm512_slli_epi32(h, 16));
}

// ---- transforms

template <class E>
inline void filter_points(const WinogradLoops::Weights& w, int64_t c, int64_t n, Vector points[kPoints]) {
  const auto index = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                        _mm512_set1_epi32(static_cast<int>(w.n_step)));
  const __mmask16 mask = c < w.c_count ? lanes(w.n_count - n > 0 ? w.n_count - n : 0) : 0;
  const char* base = static_cast<const char*>(w.weights) + (c * w.c_step + n * w.n_step) * E::kBytes;
  const auto load = [&](int tap) {
    const char* at = base + (w.flip ? 8 - tap : tap) * w.tap_step * E::kBytes;
    if (mask == 0) return set(0);
    return w.n_step == 1 ? E::load(at, 0, mask) : E::gather(at, index, mask);
  };
  in_two_dimensions<3, kTile>(load, filter_to_points, [&](int p, Vector x) { points[p] = x; });
}

void transform_weights(bool is_bf16, const WinogradLoops::Weights& w, int64_t k_begin, int64_t k_end) {
  for (int64_t k = k_begin; k < k_end; ++k) {
    for (int64_t n = 0; n < w.columns; n += kLanes) {
      const int64_t panel = n / w.width * w.width;
      const int64_t width = w.columns - panel < w.width ? w.columns - panel : w.width;
      uint32_t* words = w.words + panel * w.depth + k * width + (n - panel);
      Vector low[kPoints];
      if (!is_bf16) {
        filter_points<F32>(w, k, n, low);
        for (int p = 0; p < kPoints; ++p) _mm512_storeu_ps(words + p * w.point, low[p]);
        continue;
      }
      Vector high[kPoints];
      filter_points<BF16>(w, 2 * k, n, low);
      filter_points<BF16>(w, 2 * k + 1, n, high);
      for (int p = 0; p < kPoints; ++p) _mm512_storeu_si512(words + p * w.point, pair(low[p], high[p]));
    }
  }
}

void transform_src(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const __mmask16 mask = lanes(channels - c);
    if (is_bf16) {
      uint16_t* out = reinterpret_cast<uint16_t*>(words) + c;
      in_two_dimensions<kTile, kTile>(
          [&](int i) { return BF16::load(pixels[i], c, mask); }, source_to_points,
          [&](int p, Vector x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + p * 2 * point), narrow(x)); });
    } else {
      in_two_dimensions<kTile, kTile>([&](int i) { return F32::load(pixels[i], c, mask); }, source_to_points,
                                      [&](int p, Vector x) { _mm512_storeu_ps(words + c + p * point, x); });
    }
  }
}

// Two tiles of kSide x kSide pixels.
template <int kSide, typename Transform>
inline void transform_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                           int64_t row, const Transform& transform) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const __mmask16 mask = lanes(channels - c);
    const auto run = [&](const auto& load, const auto& store) {
      in_two_dimensions<kSide, kTile>(load, transform, store);
    };
    if (is_bf16) {
      Vector low[kPoints];
      run([&](int i) { return BF16::load(pixels[i], c, mask); }, [&](int p, Vector x) { low[p] = x; });
      run([&](int i) { return BF16::load(pixels[kSide * kSide + i], c, mask); },
          [&](int p, Vector x) { _mm512_storeu_si512(words + c + p * point, pair(low[p], x)); });
    } else {
      run([&](int i) { return F32::load(pixels[i], c, mask); },
          [&](int p, Vector x) { _mm512_storeu_ps(words + c + p * point, x); });
      run([&](int i) { return F32::load(pixels[kSide * kSide + i], c, mask); },
          [&](int p, Vector x) { _mm512_storeu_ps(words + row + c + p * point, x); });
    }
  }
}

void transform_src_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                        int64_t row) {
  transform_pair<kTile>(is_bf16, pixels, channels, words, point, row, source_to_points);
}

void transform_diff_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                         int64_t row) {
  transform_pair<kOut>(is_bf16, pixels, channels, words, point, row, output_to_points);
}

template <class E>
inline void write_tile(const float* products, int64_t point, int64_t first, int64_t channels, const float* bias,
                       void* const* pixels) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const __mmask16 mask = lanes(channels - c);
    const Vector offset = bias != nullptr ? F32::load(bias, first + c, mask) : set(0);
    in_two_dimensions<kTile, kOut>([&](int p) { return _mm512_loadu_ps(products + p * point + c); }, points_to_output,
                                   [&](int i, Vector y) {
                                     if (pixels[i] != nullptr) E::store(pixels[i], first + c, mask, add(y, offset));
                                   });
  }
}

void transform_dst(bool is_bf16, const float* products, int64_t point, int64_t first, int64_t channels,
                   const float* bias, void* const* pixels) {
  if (is_bf16) return write_tile<BF16>(products, point, first, channels, bias, pixels);
  write_tile<F32>(products, point, first, channels, bias, pixels);
}

void transform_grad(const float* products, int64_t point, int64_t c_row, int64_t n_count, float* weights,
                    int64_t tap_step, int64_t k_begin, int64_t k_end) {
  for (int64_t k = k_begin; k < k_end; ++k) {
    for (int64_t n = 0; n < n_count; n += kLanes) {
      const float* at = products + k * c_row + n;
      in_two_dimensions<kTile, 3>(
          [&](int p) { return _mm512_loadu_ps(at + p * point); }, points_to_filter,
          [&](int tap, Vector g) { F32::store(weights + tap * tap_step + k * n_count, n, lanes(n_count - n), g); });
    }
  }
}

void pack(bool is_bf16, const void* pixels, int64_t count, int64_t channels, uint32_t* words, int64_t row) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const __mmask16 mask = lanes(channels - c);
    if (!is_bf16) {
      const float* from = static_cast<const float*>(pixels) + c;
      for (int64_t i = 0; i < count; ++i) {
        _mm512_storeu_ps(words + i * row + c, _mm512_maskz_loadu_ps(mask, from + i * channels));
      }
      continue;
    }
    const uint16_t* from = static_cast<const uint16_t*>(pixels) + c;
    for (int64_t i = 0; i < count; i += 2) {
      const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from + i * channels));
      const __mmask16 second = i + 1 < count ? mask : 0;
      const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(second, from + (i + 1) * channels));
      _mm512_storeu_si512(words + i / 2 * row + c, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
  }
}

void add_pixel(bool is_bf16, const void* src, void* dst, int64_t channels) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const __mmask16 mask = lanes(channels - c);
    if (is_bf16) {
      BF16::store(dst, c, mask, add(BF16::load(src, c, mask), BF16::load(dst, c, mask)));
    } else {
      F32::store(dst, c, mask, add(F32::load(src, c, mask), F32::load(dst, c, mask)));
    }
  }
}

// ---- products

// kRows x kVectors sums stay in registers.
template <class E, int kRows, int kVectors>
inline void product_tile(const WinogradProduct& p, int64_t row) {
  Vector sums[kRows][kVectors];
  float* c = p.c + row * p.c_row;
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      sums[i][j] = p.add ? _mm512_loadu_ps(c + i * p.c_row + j * kLanes) : _mm512_setzero_ps();
    }
  }
  const uint32_t* a = p.a + row * p.a_row;
  const uint32_t* b = p.b;
  for (int64_t k = 0; k < p.depth; ++k) {
    Vector right[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) right[j] = _mm512_loadu_ps(b + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] = E::dot(sums[i][j], a[i * p.a_row], right[j]);
    }
    a += p.a_step;
    b += p.b_step;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) _mm512_storeu_ps(c + i * p.c_row + j * kLanes, sums[i][j]);
  }
}

// Rows that one call holds in registers, by the number of vectors: as many sums as 32 registers leave room for.
constexpr int rows_of(int vectors) { return vectors == 1 ? 12 : vectors == 2 ? 12 : vectors == 3 ? 8 : 6; }

template <class E, int kVectors, int kRows>
inline void product_rest(const WinogradProduct& p, int64_t row, int64_t rows) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return product_tile<E, kRows, kVectors>(p, row);
    product_rest<E, kVectors, kRows - 1>(p, row, rows);
  }
}

template <class E, int kVectors>
void product_columns(const WinogradProduct& p) {
  constexpr int kRows = rows_of(kVectors);
  int64_t row = 0;
  for (; row + kRows <= p.rows; row += kRows) product_tile<E, kRows, kVectors>(p, row);
  product_rest<E, kVectors, kRows - 1>(p, row, p.rows - row);
}

template <class E>
void product(const WinogradProduct& p) {
  switch (p.vectors) {
    case 1: return product_columns<E, 1>(p);
    case 2: return product_columns<E, 2>(p);
    case 3: return product_columns<E, 3>(p);
    default: return product_columns<E, 4>(p);
  }
}

void multiply(bool is_bf16, const WinogradProduct& p) {
  if (is_bf16) return product<BF16>(p);
  product<F32>(p);
}

}  // namespace

const WinogradLoops* winograd_avx512() {
  static const WinogradLoops loops{transform_weights,   transform_src, transform_src_pair,
                                   transform_diff_pair, multiply,      transform_dst,
                                   transform_grad,      pack,          add_pixel};
  return &loops;
}

}  // namespace hourglass::detail

#endif
