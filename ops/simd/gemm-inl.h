// The micro-kernel and packing loops of ops/simd/gemm.h, written once for all instruction sets. Each instruction set
// has a .cpp that describes its vectors as a type Isa (ops/simd/gemm_avx2.cpp, gemm_avx512.cpp) and is compiled with
// its -m flags whatever the build is for. So nothing in such a .cpp may be called before the CPU was asked, and nothing
// may be included there whose inline functions the rest of the program could pick up.
//
// An Isa has internal linkage and provides
//   kName, kLanes (8 or 16 floats), kHasBf16, Vector, Mask;
//   set(x), set_bits(x): the same bits in all lanes, fma(a, x, y) = a x + y, mul, add, sub;
//   lanes(count): the first `count` lanes, 0 to all; load(p), load(p, mask) with zeros elsewhere, store(p, x),
//   store(p, mask, x), gather(p, step, mask): every step-th float;
//   rows_of(vectors): the rows of a block of C, so many vectors wide, that stays in registers;
//   and with kHasBf16 a Bf16 that does what GemmSimd::F32 does, and with pair(low, high, words) makes words of two.
#pragma once

#include <cassert>

#include "ops/simd/gemm.h"

namespace hourglass::kernels {

template <class Isa>
struct GemmSimd {
  using Vector = typename Isa::Vector;
  using Mask = typename Isa::Mask;

  static constexpr int kLanes = Isa::kLanes;
  static constexpr int kGrain = 16;  // rows of words are rounded up to a multiple of this

  static Vector fma(float k, Vector x, Vector y) { return Isa::fma(Isa::set(k), x, y); }
  static Vector mul(float k, Vector x) { return Isa::mul(Isa::set(k), x); }
  static Vector add(Vector x, Vector y) { return Isa::add(x, y); }
  static Vector sub(Vector x, Vector y) { return Isa::sub(x, y); }

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
  // Calls f(c, mask) for all vectors of a row of words for `channels` channels.
  template <typename F>
  static void for_each_vector(int64_t channels, const F& f) {
    for (int64_t c = 0; c < (channels + kGrain - 1) / kGrain * kGrain; c += kLanes) f(c, lanes(channels - c));
  }

  static float* floats(uint32_t* words) { return reinterpret_cast<float*>(words); }
  static const float* floats(const uint32_t* words) { return reinterpret_cast<const float*>(words); }

  // ---- pixels

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

  // The micro-kernel: a block of C of kRows rows and kVectors vectors stays in registers for all of K. Row i of A is
  // broadcast, vectors of B are loaded.
  template <class E, int kRows, int kVectors>
  static void product_tile(const Gemm& p, int64_t row, int64_t column) {
    Vector sums[kRows][kVectors];
    float* c = p.c + row * p.c_row + column;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] = p.add ? Isa::load(c + i * p.c_row + j * kLanes) : Isa::set(0);
    }
    for (const Gemm::Addend& more : p.more) {
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
  static void product_rows(const Gemm& p, int64_t row) {
    for (int64_t column = 0; column < p.vectors * kGrain; column += kVectors * kLanes) {
      product_tile<E, kRows, kVectors>(p, row, column);
    }
  }

  template <class E, int kVectors, int kRows>
  static void product_rest(const Gemm& p, int64_t row, int64_t rows) {
    if constexpr (kRows > 0) {
      if (rows == kRows) return product_rows<E, kVectors, kRows>(p, row);
      product_rest<E, kVectors, kRows - 1>(p, row, rows);
    }
  }

  // All of C, in column panels of kVectors vectors, which divide its columns.
  template <class E, int kVectors>
  static void product(const Gemm& p) {
    constexpr int kRows = Isa::rows_of(kVectors);
    int64_t row = 0;
    for (; row + kRows <= p.rows; row += kRows) product_rows<E, kVectors, kRows>(p, row);
    product_rest<E, kVectors, kRows - 1>(p, row, p.rows - row);
  }

  static void multiply(bool is_bf16, const Gemm& p) {
    assert(p.vectors >= 1 && p.vectors <= 4);
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

  static const GemmLoops* loops() {
    static const GemmLoops loops{Isa::kName, multiply, pack, add_pixel};
    return &loops;
  }
};

}  // namespace hourglass::kernels
