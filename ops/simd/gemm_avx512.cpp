// The GEMM micro-kernel, its packing, and Winograd's transforms for AVX-512, f32, and bf16 by AVX512_BF16: the vector
// type with which gemm-inl.h and winograd_transforms-inl.h are instantiated. Compiled for these whatever the build is
// for; the rules for such files are in gemm-inl.h.
#include "ops/simd/gemm.h"
#include "ops/simd/winograd_transforms.h"

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VL__) || !defined(__AVX512BF16__)

namespace hourglass::kernels {
const GemmLoops* gemm_avx512() { return nullptr; }
const WinogradTransforms* winograd_transforms_avx512() { return nullptr; }
}  // namespace hourglass::kernels

#else

#include <immintrin.h>

#include "ops/simd/winograd_transforms-inl.h"

namespace hourglass::kernels {
namespace {

struct Avx512 {
  static constexpr const char* kName = "avx512_core";
  static constexpr int kLanes = 16;
  static constexpr bool kHasBf16 = true;
  using Vector = __m512;
  using Mask = __mmask16;

  static Vector set(float x) { return _mm512_set1_ps(x); }
  static Vector set_bits(uint32_t bits) { return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(bits))); }
  static Vector fma(Vector a, Vector x, Vector y) { return _mm512_fmadd_ps(a, x, y); }
  static Vector mul(Vector x, Vector y) { return _mm512_mul_ps(x, y); }
  static Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
  static Vector sub(Vector x, Vector y) { return _mm512_sub_ps(x, y); }

  static Mask lanes(int64_t count) { return static_cast<Mask>((1U << count) - 1U); }
  static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  static Vector load(const float* p, Mask mask) { return _mm512_maskz_loadu_ps(mask, p); }
  static void store(float* p, Vector x) { _mm512_storeu_ps(p, x); }
  static void store(float* p, Mask mask, Vector x) { _mm512_mask_storeu_ps(p, mask, x); }

  // Offsets of every step-th element.
  static __m512i offsets(int64_t step) {
    return _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                              _mm512_set1_epi32(static_cast<int>(step)));
  }
  static Vector gather(const float* p, int64_t step, Mask mask) {
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, offsets(step), p, 4);
  }

  // Rows of a block of C, as many as 32 registers leave room for.
  static constexpr int rows_of(int vectors) { return vectors <= 2 ? 12 : vectors == 3 ? 8 : 6; }

  struct Bf16 {
    static constexpr int64_t kBytes = 2;
    static Vector widen(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }
    static __m256i narrow(Vector x) { return (__m256i)_mm512_cvtneps_pbh(x); }
    static Vector load(const void* pixel, int64_t c, Mask mask) {
      return widen(_mm256_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(pixel) + c));
    }
    static void store(void* pixel, int64_t c, Mask mask, Vector x) {
      _mm256_mask_storeu_epi16(static_cast<uint16_t*>(pixel) + c, mask, narrow(x));
    }
    static Vector gather(const void* base, int64_t step, Mask mask) {
      alignas(64) uint32_t bits[kLanes] = {};
      for (int i = 0; i < kLanes; ++i) {
        if ((mask >> i & 1) != 0) bits[i] = static_cast<uint32_t>(static_cast<const uint16_t*>(base)[i * step]) << 16;
      }
      return _mm512_castsi512_ps(_mm512_load_si512(bits));
    }
    static Vector dot(Vector sum, uint32_t a, Vector b) {
      return _mm512_dpbf16_ps(sum, (__m512bh)set_bits(a), (__m512bh)b);
    }
    static void pair(Vector low, Vector high, uint32_t* words) {
      const __m512i l = _mm512_cvtepu16_epi32(narrow(low)), h = _mm512_cvtepu16_epi32(narrow(high));
      _mm512_storeu_si512(words, _mm512_or_si512(l, _mm512_slli_epi32(h, 16)));
    }
  };
};

}  // namespace

const GemmLoops* gemm_avx512() { return GemmSimd<Avx512>::loops(); }
const WinogradTransforms* winograd_transforms_avx512() { return WinogradSimd<Avx512>::transforms(); }

}  // namespace hourglass::kernels

#endif
