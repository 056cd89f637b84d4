// The loops of ops/simd/winograd_loops.h, written once for all instruction sets. Each of those has a file that
// describes its vectors (ops/simd/gemm_avx2.cpp, winograd_avx512.cpp) and is compiled for it whatever the build
// is for: nothing of it may be called without asking the CPU, and nothing may be included there whose inline functions
// the rest of the program could get from it.
//
// An Isa has internal linkage, and says
//   kName, kLanes (8 or 16 floats), kHasBf16, Vector, Mask;
//   set(x), set_bits(x): the same bits in all lanes, fma(a, x, y) = a x + y, mul, add, sub;
//   lanes(count): the first `count` lanes, 0 to all; load(p), load(p, mask) with zeros elsewhere, store(p, x),
//   store(p, mask, x), gather(p, step, mask): every step-th float;
//   rows_of(vectors): how many rows of so many vectors of sums stay in registers;
//   and with kHasBf16 a Bf16 that does what WinogradSimd::F32 does, and with pair(low, high, words) makes words of two.
#pragma once

#include "ops/simd/winograd_loops.h"

namespace hourglass::detail {

template <class Isa>
struct WinogradSimd {
  using Vector = typename Isa::Vector;
  using Mask = typename Isa::Mask;

  static constexpr int kLanes = Isa::kLanes;
  static constexpr int kGrain = 16;  // words are filled up to so many
  static constexpr int kTile = 6, kOut = 4, kPoints = kTile * kTile;

  // The points of the transform are 0, +-kA, +-kB and infinity. These make bf16's rounding least visible: an RMS error
  // of 1.1 % of the output's for noise, 0.3 % for a smooth image, against 2.4 % and 0.8 % with 0, +-1, +-2.
  //   Winograd, Arithmetic complexity of computations, 1980; Lavin and Gray, CVPR 2016.
  static constexpr float kA = 0.70710678118654752F, kB = 1.4142135623730951F;  // squares 1/2 and 2
  static constexpr float kNormA = -2.0F / 3, kNormB = 1.0F / 6;  // 1 / product of the distances to other points

  static Vector fma(float k, Vector x, Vector y) { return Isa::fma(Isa::set(k), x, y); }
  static Vector mul(float k, Vector x) { return Isa::mul(Isa::set(k), x); }
  static Vector add(Vector x, Vector y) { return Isa::add(x, y); }
  static Vector sub(Vector x, Vector y) { return Isa::sub(x, y); }

  // ---- one dimension of the transforms

  // B^T d: source to points.
  static void source_to_points(const Vector d[kTile], Vector v[kTile]) {
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
  static void filter_to_points(const Vector g[3], Vector v[kTile]) {
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
  static void points_to_output(const Vector m[kTile], Vector y[kOut]) {
    const Vector even_a = add(m[1], m[2]), odd_a = sub(m[1], m[2]);
    const Vector even_b = add(m[3], m[4]), odd_b = sub(m[3], m[4]);
    y[0] = add(m[0], add(even_a, even_b));
    y[1] = fma(kB, odd_b, mul(kA, odd_a));
    y[2] = fma(2.0F, even_b, mul(0.5F, even_a));
    y[3] = fma(2.0F * kB, odd_b, fma(0.5F * kA, odd_a, m[5]));
  }

  // A y: a gradient of the output to points.
  static void output_to_points(const Vector y[kOut], Vector v[kTile]) {
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
  static void points_to_filter(const Vector m[kTile], Vector g[3]) {
    const Vector even_a = mul(kNormA, add(m[1], m[2])), odd_a = mul(kNormA * kA, sub(m[1], m[2]));
    const Vector even_b = mul(kNormB, add(m[3], m[4])), odd_b = mul(kNormB * kB, sub(m[3], m[4]));
    g[0] = add(m[0], add(even_a, even_b));
    g[1] = add(odd_a, odd_b);
    g[2] = fma(2.0F, even_b, fma(0.5F, even_a, m[5]));
  }

  // transform(in, out) along the columns, then along the rows: from kIn x kIn to kTo x kTo. Lambdas, because GCC does
  // not inline what is passed as a function.
  template <int kIn, int kTo, typename Load, typename Transform, typename Store>
  static void in_two_dimensions(const Load& load, const Transform& transform, const Store& store) {
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

  struct F32 {
    static constexpr int64_t kBytes = 4;
    static Vector load(const void* pixel, int64_t c, Mask mask) {
      return Isa::load(static_cast<const float*>(pixel) + c, mask);
    }
    static void store(void* pixel, int64_t c, Mask mask, Vector x) {
      Isa::store(static_cast<float*>(pixel) + c, mask, x);
    }
    static Vector gather(const void* base, int64_t step, Mask mask) {
      return Isa::gather(static_cast<const float*>(base), step, mask);
    }
    static Vector dot(Vector sum, uint32_t a, Vector b) { return Isa::fma(Isa::set_bits(a), b, sum); }
  };

  // Calls f with F32 or Bf16.
  template <typename F>
  static void with_element(bool is_bf16, const F& f) {
    if constexpr (Isa::kHasBf16) {
      if (is_bf16) return f(typename Isa::Bf16());
    }
    f(F32());
  }
  template <class E>
  static constexpr bool is_f32 = E::kBytes == 4;

  static Mask lanes(int64_t count) { return Isa::lanes(count < 0 ? 0 : count > kLanes ? kLanes : count); }
  // Calls f(c, mask) for all vectors of the words that `channels` take.
  template <typename F>
  static void for_each_vector(int64_t channels, const F& f) {
    for (int64_t c = 0; c < (channels + kGrain - 1) / kGrain * kGrain; c += kLanes) f(c, lanes(channels - c));
  }

  static float* floats(uint32_t* words) { return reinterpret_cast<float*>(words); }
  static const float* floats(const uint32_t* words) { return reinterpret_cast<const float*>(words); }

  // ---- transforms

  template <class E>
  static void filter_points(const WinogradLoops::Weights& w, int64_t c, int64_t n, Vector points[kPoints]) {
    const int64_t count = c < w.c_count ? w.n_count - n : 0;
    const Mask mask = lanes(count);
    const char* base = static_cast<const char*>(w.weights) + (c * w.c_step + n * w.n_step) * E::kBytes;
    const auto load = [&](int tap) {
      const char* at = base + (w.flip ? 8 - tap : tap) * w.tap_step * E::kBytes;
      if (count <= 0) return Isa::set(0);
      return w.n_step == 1 ? E::load(at, 0, mask) : E::gather(at, w.n_step, mask);
    };
    in_two_dimensions<3, kTile>(
        load, [](const Vector* in, Vector* out) { filter_to_points(in, out); },
        [&](int p, Vector x) { points[p] = x; });
  }

  static void transform_weights(bool is_bf16, const WinogradLoops::Weights& w, int64_t k_begin, int64_t k_end) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      for (int64_t k = k_begin; k < k_end; ++k) {
        for (int64_t n = 0; n < w.columns; n += kLanes) {
          const int64_t panel = n / w.width * w.width;
          const int64_t width = w.columns - panel < w.width ? w.columns - panel : w.width;
          uint32_t* words = w.words + panel * w.depth + k * width + (n - panel);
          Vector low[kPoints];
          if constexpr (is_f32<E>) {
            filter_points<E>(w, k, n, low);
            for (int p = 0; p < kPoints; ++p) Isa::store(floats(words) + p * w.point, low[p]);
          } else {
            Vector high[kPoints];
            filter_points<E>(w, 2 * k, n, low);
            filter_points<E>(w, 2 * k + 1, n, high);
            for (int p = 0; p < kPoints; ++p) E::pair(low[p], high[p], words + p * w.point);
          }
        }
      }
    });
  }

  static void transform_src(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      constexpr int64_t kPerWord = 4 / E::kBytes;
      for_each_vector(channels, [&](int64_t c, Mask mask) {
        in_two_dimensions<kTile, kTile>(
            [&](int i) { return E::load(pixels[i], c, mask); },
            [](const Vector* in, Vector* out) { source_to_points(in, out); },
            [&](int p, Vector x) { E::store(words, c + p * kPerWord * point, Isa::lanes(kLanes), x); });
      });
    });
  }

  // Two tiles of kSide x kSide pixels.
  template <int kSide, typename Transform>
  static void transform_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                             int64_t row, const Transform& transform) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      for_each_vector(channels, [&](int64_t c, Mask mask) {
        const auto run = [&](int tile, const auto& store) {
          in_two_dimensions<kSide, kTile>([&](int i) { return E::load(pixels[tile * kSide * kSide + i], c, mask); },
                                          transform, store);
        };
        if constexpr (is_f32<E>) {
          for (int tile = 0; tile < 2; ++tile) {
            run(tile, [&](int p, Vector x) { Isa::store(floats(words) + tile * row + c + p * point, x); });
          }
        } else {
          Vector low[kPoints];
          run(0, [&](int p, Vector x) { low[p] = x; });
          run(1, [&](int p, Vector x) { E::pair(low[p], x, words + c + p * point); });
        }
      });
    });
  }

  static void transform_src_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words,
                                 int64_t point, int64_t row) {
    transform_pair<kTile>(is_bf16, pixels, channels, words, point, row,
                          [](const Vector* in, Vector* out) { source_to_points(in, out); });
  }

  static void transform_diff_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words,
                                  int64_t point, int64_t row) {
    transform_pair<kOut>(is_bf16, pixels, channels, words, point, row,
                         [](const Vector* in, Vector* out) { output_to_points(in, out); });
  }

  static void transform_dst(bool is_bf16, const float* products, int64_t point, int64_t first, int64_t channels,
                            const float* bias, void* const* pixels) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      for (int64_t c = 0; c < channels; c += kLanes) {
        const Mask mask = lanes(channels - c);
        const Vector offset = bias != nullptr ? F32::load(bias, first + c, mask) : Isa::set(0);
        in_two_dimensions<kTile, kOut>([&](int p) { return Isa::load(products + p * point + c); },
                                       [](const Vector* in, Vector* out) { points_to_output(in, out); },
                                       [&](int i, Vector y) {
                                         if (pixels[i] != nullptr) E::store(pixels[i], first + c, mask, add(y, offset));
                                       });
      }
    });
  }

  static void transform_grad(const float* products, int64_t point, int64_t c_row, int64_t n_count, float* weights,
                             int64_t tap_step, int64_t k_begin, int64_t k_end) {
    for (int64_t k = k_begin; k < k_end; ++k) {
      for (int64_t n = 0; n < n_count; n += kLanes) {
        const float* at = products + k * c_row + n;
        in_two_dimensions<kTile, 3>(
            [&](int p) { return Isa::load(at + p * point); },
            [](const Vector* in, Vector* out) { points_to_filter(in, out); },
            [&](int tap, Vector g) { Isa::store(weights + tap * tap_step + k * n_count + n, lanes(n_count - n), g); });
      }
    }
  }

  static void pack(bool is_bf16, const void* const* pixels, int64_t count, int64_t first, int64_t channels,
                   uint32_t* words, int64_t row) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      for_each_vector(channels, [&](int64_t c, Mask mask) {
        if constexpr (is_f32<E>) {
          for (int64_t i = 0; i < count; ++i) {
            Isa::store(floats(words) + i * row + c, E::load(pixels[i], first + c, mask));
          }
        } else {
          for (int64_t i = 0; i < count; i += 2) {
            E::pair(E::load(pixels[i], first + c, mask), E::load(pixels[i + 1], first + c, mask),
                    words + i / 2 * row + c);
          }
        }
      });
    });
  }

  static void add_pixel(bool is_bf16, const void* src, void* dst, int64_t channels) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      for (int64_t c = 0; c < channels; c += kLanes) {
        const Mask mask = lanes(channels - c);
        E::store(dst, c, mask, add(E::load(src, c, mask), E::load(dst, c, mask)));
      }
    });
  }

  // ---- products

  // kRows x kVectors sums stay in registers.
  template <class E, int kRows, int kVectors>
  static void product_tile(const WinogradProduct& p, int64_t row, int64_t column) {
    Vector sums[kRows][kVectors];
    float* c = p.c + row * p.c_row + column;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] = p.add ? Isa::load(c + i * p.c_row + j * kLanes) : Isa::set(0);
    }
    for (const WinogradProduct::Addend& more : p.more) {
      if (more.at == nullptr) continue;
      const float* from = more.at + row * more.row + column;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) sums[i][j] = add(sums[i][j], Isa::load(from + i * more.row + j * kLanes));
      }
    }
    const uint32_t* a = p.a + row * p.a_row;
    const uint32_t* b = p.b + column;
    for (int64_t k = 0; k < p.depth; ++k) {
      Vector right[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) right[j] = Isa::load(floats(b) + j * kLanes);
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
      for (int j = 0; j < kVectors; ++j) Isa::store(c + i * p.c_row + j * kLanes, sums[i][j]);
    }
  }

  template <class E, int kVectors, int kRows>
  static void product_rows(const WinogradProduct& p, int64_t row) {
    for (int64_t column = 0; column < p.vectors * kGrain; column += kVectors * kLanes) {
      product_tile<E, kRows, kVectors>(p, row, column);
    }
  }

  template <class E, int kVectors, int kRows>
  static void product_rest(const WinogradProduct& p, int64_t row, int64_t rows) {
    if constexpr (kRows > 0) {
      if (rows == kRows) return product_rows<E, kVectors, kRows>(p, row);
      product_rest<E, kVectors, kRows - 1>(p, row, rows);
    }
  }

  // kVectors at a time make all of the columns.
  template <class E, int kVectors>
  static void product(const WinogradProduct& p) {
    constexpr int kRows = Isa::rows_of(kVectors);
    int64_t row = 0;
    for (; row + kRows <= p.rows; row += kRows) product_rows<E, kVectors, kRows>(p, row);
    product_rest<E, kVectors, kRows - 1>(p, row, p.rows - row);
  }

  static void multiply(bool is_bf16, const WinogradProduct& p) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      if constexpr (kLanes < kGrain) {
        product<E, kGrain / kLanes>(p);
      } else {
        switch (p.vectors) {
          case 1: return product<E, 1>(p);
          case 2: return product<E, 2>(p);
          case 3: return product<E, 3>(p);
          default: return product<E, 4>(p);
        }
      }
    });
  }

  static const WinogradLoops* loops() {
    static const WinogradLoops loops{
        Isa::kName,    transform_weights, transform_src, transform_src_pair, transform_diff_pair, multiply,
        transform_dst, transform_grad,    pack,          add_pixel};
    return &loops;
  }
};

}  // namespace hourglass::detail
