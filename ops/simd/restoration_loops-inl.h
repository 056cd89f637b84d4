// The loops of ops/simd/restoration_loops.h, written once for vectors of 4, 8 or 16 floats: the compiler makes the
// vectors' instructions of arithmetic on its vector types, by the flags of the .cpp that includes this. The rules for
// such files are in gemm-inl.h.
#pragma once

#include "ops/simd/restoration_loops.h"

namespace hourglass::kernels {

// The compiler's vector types; in memory they need no alignment and may lie over floats.
template <int kLanes>
struct VectorTypes;
template <>
struct VectorTypes<4> {
  typedef float Floats __attribute__((vector_size(16)));
  typedef int32_t Ints __attribute__((vector_size(16)));
  typedef float InMemory __attribute__((vector_size(16), aligned(4), may_alias));
};
template <>
struct VectorTypes<8> {
  typedef float Floats __attribute__((vector_size(32)));
  typedef int32_t Ints __attribute__((vector_size(32)));
  typedef float InMemory __attribute__((vector_size(32), aligned(4), may_alias));
};
template <>
struct VectorTypes<16> {
  typedef float Floats __attribute__((vector_size(64)));
  typedef int32_t Ints __attribute__((vector_size(64)));
  typedef float InMemory __attribute__((vector_size(64), aligned(4), may_alias));
};

#define HG_VECTOR_INLINE __attribute__((always_inline)) static inline
// Large, and called once or twice for a group: compiled once, not in each of its callers.
#define HG_APART __attribute__((noinline)) static

template <int kLanes>
struct RestorationSimd {
  using Vector = typename VectorTypes<kLanes>::Floats;
  using Ints = typename VectorTypes<kLanes>::Ints;
  using InMemory = typename VectorTypes<kLanes>::InMemory;

  // Registers hold a block of sums of kBlockRows by kBlockVectors, a row of vectors and a broadcast element: 16 with
  // vectors of 4 and 8, 32 with vectors of 16.
  static constexpr int kBlockRows = kLanes == 16 ? 8 : 4;
  static constexpr int kBlockVectors = kLanes == 16 ? 3 : 2;

  HG_VECTOR_INLINE Vector load(const float* p) { return *reinterpret_cast<const InMemory*>(p); }
  HG_VECTOR_INLINE void store(float* p, Vector x) { *reinterpret_cast<InMemory*>(p) = x; }
  // x - 0 is x, which compilers know; 0 + x would be an addition, as it makes 0 of -0.
  HG_VECTOR_INLINE Vector set(float x) { return x - Vector{}; }
  HG_VECTOR_INLINE float sum_of(Vector x) {
    float sum = 0;
    for (int i = 0; i < kLanes; ++i) sum += x[i];
    return sum;
  }

  // ---- likeness

  template <int kVectors>
  HG_VECTOR_INLINE void distances_of(const float* patch, const float* candidates, int64_t stride, float* sums) {
    Vector sum[kVectors];
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) sum[i] = Vector{};
    for (int v = 0; v < kPatchSide; ++v) {
#pragma GCC unroll 6
      for (int u = 0; u < kPatchSide; ++u) {
        const Vector value = set(patch[v * stride + u]);
#pragma GCC unroll 4
        for (int i = 0; i < kVectors; ++i) {
          const Vector difference = load(candidates + v * stride + u + i * kLanes) - value;
          sum[i] += difference * difference;
        }
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) store(sums + i * kLanes, sum[i]);
  }

  static void distances(const float* patch, const float* candidates, int64_t stride, int64_t count, float* sums) {
    constexpr int kAtOnce = kLanes == 16 ? 3 : 4;
    const int64_t end = (count + kLanes - 1) / kLanes * kLanes;
    int64_t i = 0;
    for (; i + kAtOnce * kLanes <= end; i += kAtOnce * kLanes) {
      distances_of<kAtOnce>(patch, candidates + i, stride, sums + i);
    }
    for (; i < end; i += kLanes) distances_of<1>(patch, candidates + i, stride, sums + i);
  }

  static int64_t count_below(const float* values, int64_t count, float bound) {
    const Vector limit = set(bound);
    Ints found[2] = {Ints{}, Ints{}};  // comparisons are -1 where they hold
    int64_t i = 0;
    for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
      found[0] -= load(values + i) < limit;
      found[1] -= load(values + i + kLanes) < limit;
    }
    for (; i < count; i += kLanes) found[0] -= load(values + i) < limit;
    found[0] += found[1];
    int64_t sum = 0;
    for (int k = 0; k < kLanes; ++k) sum += found[0][k];
    return sum;
  }

  // ---- a group's statistics. Matrices are [kGroup][kGroup]; patches and samples are named by k and s.

  template <int kGroup>
  static constexpr int kVectorsOf = kGroup / kLanes;

  // to[j][i] = from[i][j] of 4x4 elements; rows are from_row and to_row apart.
  HG_VECTOR_INLINE void transpose_4x4(const float* from, int64_t from_row, float* to, int64_t to_row) {
    using Four = typename VectorTypes<4>::Floats;
    using FourInMemory = typename VectorTypes<4>::InMemory;
    using Picks = typename VectorTypes<4>::Ints;
    Four in[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) in[i] = *reinterpret_cast<const FourInMemory*>(from + i * from_row);
#if defined(__clang__)
    const Four a = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5);
    const Four b = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
    const Four c = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
    const Four d = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
    const Four columns[4] = {__builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
                             __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
#else
    const Picks low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, first = {0, 1, 4, 5}, second = {2, 3, 6, 7};
    const Four a = __builtin_shuffle(in[0], in[1], low), b = __builtin_shuffle(in[2], in[3], low);
    const Four c = __builtin_shuffle(in[0], in[1], high), d = __builtin_shuffle(in[2], in[3], high);
    const Four columns[4] = {__builtin_shuffle(a, b, first), __builtin_shuffle(a, b, second),
                             __builtin_shuffle(c, d, first), __builtin_shuffle(c, d, second)};
#endif
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) *reinterpret_cast<FourInMemory*>(to + i * to_row) = columns[i];
  }

  // out[s][k] = patches[k][s].
  template <int kGroup>
  HG_VECTOR_INLINE void transpose(const float* patches, int64_t samples, int64_t row, float* out) {
    for (int64_t s = 0; s < samples; s += 4) {
      for (int k = 0; k < kGroup; k += 4) transpose_4x4(patches + k * row + s, row, out + s * kGroup + k, kGroup);
    }
  }

  // A symmetric matrix, of which the upper triangle is given.
  template <int kGroup>
  HG_VECTOR_INLINE void mirror(float* a) {
    for (int i = 0; i < kGroup; i += 4) {
      for (int j = i + 4; j < kGroup; j += 4) transpose_4x4(a + i * kGroup + j, kGroup, a + j * kGroup + i, kGroup);
      for (int p = i; p < i + 4; ++p) {
        for (int q = i; q < p; ++q) a[p * kGroup + q] = a[q * kGroup + p];
      }
    }
  }

  // result[i][j] = sum over rows r in [begin, end) of x[r][i] y[r][j], for i in [first, first + kRows) and j in kCount
  // vectors from kFrom on; rows of x, y and the result are kGroup long. kLess: the result is what it was, less that.
  template <int kGroup, int kRows, int kFrom, int kCount, bool kLess = false>
  HG_VECTOR_INLINE void product_rows(const float* x, const float* y, int64_t begin, int64_t end, int first,
                                     float* result) {
    Vector sums[kRows][kCount];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kCount; ++j)
        sums[i][j] = kLess ? load(result + (first + i) * kGroup + (kFrom + j) * kLanes) : Vector{};
    }
    for (int64_t r = begin; r < end; ++r) {
      const float* row = x + r * kGroup;
      Vector right[kCount];
#pragma GCC unroll 8
      for (int j = 0; j < kCount; ++j) right[j] = load(y + r * kGroup + (kFrom + j) * kLanes);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const Vector left = set(row[first + i]);
#pragma GCC unroll 8
        for (int j = 0; j < kCount; ++j)
          sums[i][j] = kLess ? sums[i][j] - left * right[j] : sums[i][j] + left * right[j];
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kCount; ++j) store(result + (first + i) * kGroup + (kFrom + j) * kLanes, sums[i][j]);
    }
  }

  // The same for i in [first, last), a multiple of kLanes: by as many rows and vectors at a time as registers hold
  // sums.
  template <int kGroup, int kFrom, int kCount, bool kLess = false>
  HG_VECTOR_INLINE void product_block(const float* x, const float* y, int64_t begin, int64_t end, int first, int last,
                                      float* result) {
    if constexpr (kLanes != 16 && kCount > 3) {
      product_block<kGroup, kFrom, 3, kLess>(x, y, begin, end, first, last, result);
      product_block<kGroup, kFrom + 3, kCount - 3, kLess>(x, y, begin, end, first, last, result);
    } else {
      constexpr int kRows = kLanes == 16 ? 8 : kCount > 1 ? 4 : kLanes;
      for (int i = first; i < last; i += kRows)
        product_rows<kGroup, kRows, kFrom, kCount, kLess>(x, y, begin, end, i, result);
    }
  }

  // x' x of `rows` rows, at least its upper triangle. lower: x is a lower triangle, so that its rows before i add
  // nothing to row i.
  template <int kGroup>
  HG_APART void gram(const float* x, int64_t rows, bool lower, float* result) {
    gram_from<kGroup, 0>(x, rows, lower, result);
  }
  template <int kGroup, int kFrom>
  HG_VECTOR_INLINE void gram_from(const float* x, int64_t rows, bool lower, float* result) {
    if constexpr (kFrom < kVectorsOf<kGroup>) {
      constexpr int i = kFrom * kLanes;
      product_block<kGroup, kFrom, kVectorsOf<kGroup> - kFrom>(x, x, lower ? i : 0, rows, i, i + kLanes, result);
      gram_from<kGroup, kFrom + 1>(x, rows, lower, result);
    }
  }

  // x' y of `rows` rows.
  template <int kGroup>
  HG_APART void product(const float* x, const float* y, int64_t rows, float* result) {
    product_block<kGroup, 0, kVectorsOf<kGroup>>(x, y, 0, rows, 0, kGroup, result);
  }

  // The upper triangle of a becomes U with U' U = a (Cholesky); `inverses` takes 1 / U_ii. a is I plus a positive
  // semidefinite matrix, so that its pivots are at least 1, whatever rounding says.
  template <int kGroup, int kFrom = 0>
  HG_VECTOR_INLINE void factorize(float* a, float* inverses) {
    if constexpr (kFrom < kVectorsOf<kGroup>) {
      constexpr int kCount = kVectorsOf<kGroup> - kFrom, kFirst = kFrom * kLanes;
      product_block<kGroup, kFrom, kCount, true>(a, a, 0, kFirst, kFirst, kFirst + kLanes, a);
      // Within these rows first without square roots, for which every row would wait: D U in place of U.
      float pivots[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        float* row = a + (kFirst + i) * kGroup + kFirst;
        Vector sums[kCount];
#pragma GCC unroll 12
        for (int j = 0; j < kCount; ++j) sums[j] = load(row + j * kLanes);
        for (int p = 0; p < i; ++p) {
          const float* other = a + (kFirst + p) * kGroup + kFirst;
          const Vector s = set(other[i] * pivots[p]);
#pragma GCC unroll 12
          for (int j = 0; j < kCount; ++j) sums[j] -= s * load(other + j * kLanes);
        }
#pragma GCC unroll 12
        for (int j = 0; j < kCount; ++j) store(row + j * kLanes, sums[j]);
        pivots[i] = 1 / (row[i] > 1 ? row[i] : 1);
      }
      for (int i = 0; i < kLanes; ++i) {
        float* row = a + (kFirst + i) * kGroup + kFirst;
        inverses[kFirst + i] = __builtin_sqrtf(pivots[i]);
        const Vector inverse = set(inverses[kFirst + i]);
#pragma GCC unroll 12
        for (int j = 0; j < kCount; ++j) store(row + j * kLanes, load(row + j * kLanes) * inverse);
      }
      factorize<kGroup, kFrom + 1>(a, inverses);
    }
  }

  // t = (U')^-1, a lower triangle: t_i = (e_i - sum over p < i of U_pi t_p) / U_ii. Whole vectors of it are written.
  template <int kGroup, int kTo = 0>
  HG_VECTOR_INLINE void invert(const float* u, const float* inverses, float* t) {
    if constexpr (kTo < kVectorsOf<kGroup>) {
      constexpr int kFirst = kTo * kLanes;
      for (int i = kFirst; i < kFirst + kLanes; ++i) {
        for (int j = 0; j < kVectorsOf<kGroup>; ++j) store(t + i * kGroup + j * kLanes, Vector{});
        t[i * kGroup + i] = 1;
      }
      if constexpr (kTo > 0) product_block<kGroup, 0, kTo, true>(u, t, 0, kFirst, kFirst, kFirst + kLanes, t);
      for (int i = kFirst; i < kFirst + kLanes; ++i) {
        float* row = t + i * kGroup;
        Vector sums[kTo + 1];
#pragma GCC unroll 12
        for (int j = 0; j <= kTo; ++j) sums[j] = load(row + j * kLanes);
        for (int p = kFirst; p < i; ++p) {
          const Vector s = set(u[p * kGroup + i]);
#pragma GCC unroll 12
          for (int j = 0; j <= kTo; ++j) sums[j] -= s * load(t + p * kGroup + j * kLanes);
        }
        const Vector inverse = set(inverses[i]);
#pragma GCC unroll 12
        for (int j = 0; j <= kTo; ++j) store(row + j * kLanes, sums[j] * inverse);
      }
      invert<kGroup, kTo + 1>(u, inverses, t);
    }
  }

  // out[k] = mean + sum over i of w[k][i] patches[i], in blocks of kRows patches and kVectors vectors.
  template <int kGroup, int kRows, int kVectors>
  HG_VECTOR_INLINE void recombine_block(const float* patches, int64_t row, const float* w, const float* mean,
                                        float* out) {
    Vector sums[kRows][kVectors];
#pragma GCC unroll 8
    for (int k = 0; k < kRows; ++k) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[k][j] = load(mean + j * kLanes);
    }
    for (int i = 0; i < kGroup; ++i) {
      Vector right[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) right[j] = load(patches + i * row + j * kLanes);
#pragma GCC unroll 8
      for (int k = 0; k < kRows; ++k) {
        const Vector left = set(w[k * kGroup + i]);
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) sums[k][j] += left * right[j];
      }
    }
#pragma GCC unroll 8
    for (int k = 0; k < kRows; ++k) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) store(out + k * row + j * kLanes, sums[k][j]);
    }
  }

  template <int kGroup>
  HG_APART void recombine(const float* patches, int64_t row, const float* w, const float* mean, float* out) {
    constexpr int64_t kWide = kBlockVectors * kLanes;
    for (int k = 0; k < kGroup; k += kBlockRows) {
      int64_t s = 0;
      for (; s + kWide <= row; s += kWide) {
        recombine_block<kGroup, kBlockRows, kBlockVectors>(patches + s, row, w + k * kGroup, mean + s,
                                                           out + k * row + s);
      }
      for (; s < row; s += kLanes) {
        recombine_block<kGroup, kBlockRows, 1>(patches + s, row, w + k * kGroup, mean + s, out + k * row + s);
      }
    }
  }

  // Sets the mean of the patches, and leaves their differences from it; returns the sum of the squared differences.
  template <int kGroup>
  HG_APART float centre(float* patches, int64_t row, float* mean) {
    Vector power = Vector{};
    for (int64_t s = 0; s < row; s += kLanes) {
      Vector sum = Vector{};
      for (int k = 0; k < kGroup; ++k) sum += load(patches + k * row + s);
      sum *= set(1.0F / kGroup);
      store(mean + s, sum);
      for (int k = 0; k < kGroup; ++k) {
        const Vector centred = load(patches + k * row + s) - sum;
        store(patches + k * row + s, centred);
        power += centred * centred;
      }
    }
    return sum_of(power);
  }

  template <int kGroup>
  HG_VECTOR_INLINE void fill_with(const float* mean, int64_t row, float* patches) {
    for (int64_t s = 0; s < row; s += kLanes) {
      const Vector value = load(mean + s);
      for (int k = 0; k < kGroup; ++k) store(patches + k * row + s, value);
    }
  }

  // (X' X / (K noise) + I)^-1 of the centred patches X, given transposed, whose squares' sum is `total`: its upper
  // triangle, in `result`. `inverse` is scratch memory. Returns the factor of X' X.
  template <int kGroup>
  HG_APART float shrinkage(const float* transposed, int64_t samples, float total, float* inverse, float* result) {
    // Where contrast is a thousand times the noise and more, float does not resolve the noise; there it is taken for as
    // much larger as float needs.
    constexpr float kResolved = 1e-6F;
    gram<kGroup>(transposed, samples, false, result);
    const float scale = 1 / (kGroup * (1 + kResolved * total / kGroup));
    for (int i = 0; i < kGroup * kGroup; i += kLanes) store(result + i, load(result + i) * set(scale));
    for (int i = 0; i < kGroup; ++i) result[i * kGroup + i] += 1;
    // a^-1 = t' t.
    float inverses[kGroup];
    factorize<kGroup>(result, inverses);
    invert<kGroup>(result, inverses, inverse);
    gram<kGroup>(inverse, kGroup, true, result);
    return scale;
  }

  template <int kGroup>
  static float clean_group(float* patches, int64_t samples, int64_t row, float flat, float* scratch) {
    float* out = scratch;
    float* transposed = out + kGroup * row;
    float* w = transposed + kGroup * row;
    float* inverse = w + kGroup * kGroup;
    float* mean = inverse + kGroup * kGroup;

    const float total = centre<kGroup>(patches, row, mean);
    if (total < flat * static_cast<float>(kGroup * samples)) {
      fill_with<kGroup>(mean, row, patches);
      return 1;
    }
    transpose<kGroup>(patches, samples, row, transposed);
    shrinkage<kGroup>(transposed, samples, total, inverse, w);
    // W = I - (X'X / (K noise) + I)^-1.
    float trace = 0;
    mirror<kGroup>(w);
    for (int i = 0; i < kGroup * kGroup; i += kLanes) store(w + i, -load(w + i));
    for (int i = 0; i < kGroup; ++i) {
      w[i * kGroup + i] += 1;
      trace += w[i * kGroup + i];
    }
    recombine<kGroup>(patches, row, w, mean, out);
    for (int64_t i = 0; i < kGroup * row; i += kLanes) store(patches + i, load(out + i));
    return 1 / (1 + trace);
  }

  static float clean(float* patches, int64_t count, int64_t samples, int64_t row, float flat, float* scratch) {
    return count == kLargeGroup ? clean_group<kLargeGroup>(patches, samples, row, flat, scratch)
                                : clean_group<kSmallGroup>(patches, samples, row, flat, scratch);
  }

  // With G for the guide's patches and Y for the noisy ones, both centred by the guide's mean:
  //   G G' (G G' / K + I)^-1 Y / K = G (G' G / K + I)^-1 G' Y / K.
  template <int kGroup>
  static float clean_guided_group(float* patches, float* guide, int64_t samples, int64_t row, float flat,
                                  float* scratch) {
    float* transposed = scratch;
    float* others = transposed + kGroup * row;
    float* shrunk = others + kGroup * row;
    float* inverse = shrunk + kGroup * kGroup;
    float* cross = inverse + kGroup * kGroup;
    float* mean = cross + kGroup * kGroup;

    const float total = centre<kGroup>(guide, row, mean);
    if (total < flat * static_cast<float>(kGroup * samples)) {
      fill_with<kGroup>(mean, row, patches);
      return 1;
    }
    for (int k = 0; k < kGroup; ++k) {
      for (int64_t s = 0; s < row; s += kLanes)
        store(patches + k * row + s, load(patches + k * row + s) - load(mean + s));
    }
    transpose<kGroup>(guide, samples, row, transposed);
    transpose<kGroup>(patches, samples, row, others);
    const float scale = shrinkage<kGroup>(transposed, samples, total, inverse, shrunk);
    mirror<kGroup>(shrunk);
    float trace = 0;
    for (int i = 0; i < kGroup; ++i) {
      trace += 1 - shrunk[i * kGroup + i];
    }
    product<kGroup>(transposed, others, samples, cross);
    for (int i = 0; i < kGroup * kGroup; i += kLanes) store(cross + i, load(cross + i) * set(scale));
    product<kGroup>(cross, shrunk, kGroup, inverse);
    recombine<kGroup>(guide, row, inverse, mean, patches);
    return 1 / (1 + trace);
  }

  static float clean_guided(float* patches, float* guide, int64_t count, int64_t samples, int64_t row, float flat,
                            float* scratch) {
    return count == kLargeGroup ? clean_guided_group<kLargeGroup>(patches, guide, samples, row, flat, scratch)
                                : clean_guided_group<kSmallGroup>(patches, guide, samples, row, flat, scratch);
  }

  // ---- cells

  // The integers' bits as floats.
  HG_VECTOR_INLINE Vector bits_of(Ints x) { return reinterpret_cast<Vector>(x); }
  HG_VECTOR_INLINE Vector larger(Vector x, Vector y) { return x > y ? x : y; }
  HG_VECTOR_INLINE Vector smaller(Vector x, Vector y) { return x < y ? x : y; }

  // e^x for x <= 0, within 3e-7 of it relative to it, and about e^-87 below that: 2^k 2^f, with Taylor's polynomial of
  // 2^f on [-1/2, 1/2] to the sixth power of f ln 2.
  HG_VECTOR_INLINE Vector exp_of(Vector x) {
    const Vector scaled = larger(x, set(-87.0F)) * set(1.44269504F);
    const Ints whole = __builtin_convertvector(scaled - set(0.5F), Ints);  // to the nearest, as x is not positive
    const Vector f = (scaled - __builtin_convertvector(whole, Vector)) * set(0.693147181F);
    Vector power = set(1 / 120.0F) + f * set(1 / 720.0F);
    power = set(1 / 24.0F) + f * power;
    power = set(1 / 6.0F) + f * power;
    power = set(0.5F) + f * power;
    power = set(1.0F) + f * power;
    power = set(1.0F) + f * power;
    return power * bits_of((whole + 127) << 23);
  }

  // Mills' ratio (1 - Phi(x)) / phi(x) for x >= 0, within 5e-7 of it relative to it: t = 1 / (1 + 0.3 x) times a
  // polynomial in t, fitted by least squares to the continued fraction.
  HG_VECTOR_INLINE Vector mills_of(Vector x) {
    constexpr float kTerms[] = {0.29999987F, 0.30002103F, 0.27247184F,  0.22379497F, 0.12600069F,
                                0.09800164F, 0.00805905F, -0.12165822F, 0.04662383F};
    const Vector t = set(1.0F) / (set(1.0F) + set(0.3F) * x);
    Vector sum = set(kTerms[8]);
#pragma GCC unroll 8
    for (int i = 7; i >= 0; --i) sum = set(kTerms[i]) + t * sum;
    return t * sum;
  }

  static void truncated_means(float* values, const float* n, const float* steps, const float* sigmas, int64_t count) {
    const Vector one = set(1.0F), half = set(0.5F), inv_sqrt_2_pi = set(0.398942280F), zero = set(0.0F);
    for (int64_t i = 0; i < count; i += kLanes) {
      const Vector step = load(steps + i), sigma = load(sigmas + i);
      const Vector width = step / sigma;
      const Vector offset = (load(n + i) * step - load(values + i)) / sigma;
      // Mirrored, so that the cell's middle lies on the positive side: the cell is [a, b] with |a| <= b.
      const Vector middle = larger(offset, -offset), a = middle - half * width, b = middle + half * width;
      const Vector near = larger(a, -a);
      const Vector density_a = exp_of(-half * near * near), density_b = exp_of(-half * b * b);
      const Vector mills_a = mills_of(near), mills_b = mills_of(b);
      // Outside the cell everything is divided by phi(a), so that nothing underflows.
      const Vector decay = exp_of(-width * middle);
      const Vector outside = (one - decay) / (mills_a - decay * mills_b);
      const Vector mass = one - (density_a * mills_a + density_b * mills_b) * inv_sqrt_2_pi;
      const Vector inside = (density_a - density_b) * inv_sqrt_2_pi / mass;
      // A narrow cell, across which the density changes little: middle (1 - width^2 / 12), to first order.
      const Vector narrow = middle * (one - width * width * set(1 / 12.0F));
      Vector mean = a >= zero ? outside : inside;
      mean = width * (one + middle + middle) < set(0.03F) ? narrow : mean;
      mean = smaller(larger(mean, a), b);
      // From the value to the mean, from the middle of the cell to the value.
      mean = (mean - middle) * sigma;
      store(values + i, offset < zero ? -mean : mean);
    }
  }

  static const RestorationLoops* loops(const char* isa) {
    static const RestorationLoops loops{isa, kLanes, distances, count_below, clean, clean_guided, truncated_means};
    return &loops;
  }
};

#undef HG_VECTOR_INLINE
#undef HG_APART

}  // namespace hourglass::kernels
