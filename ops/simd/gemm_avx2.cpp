// The GEMM micro-kernel, its packing, and Winograd's transforms for AVX2, f32 only: the vector type with which
// gemm-inl.h and winograd_transforms-inl.h are instantiated. Compiled for AVX2 and FMA whatever the build is for; the
// rules for such files are in gemm-inl.h.
#include "ops/simd/gemm.h"
#include "ops/simd/winograd_transforms.h"

#if !defined(__AVX2__) || !defined(__FMA__)

namespace hourglass::kernels {
const GemmLoops* gemm_avx2() { return nullptr; }
const WinogradTransforms* winograd_transforms_avx2() { return nullptr; }
}  // namespace hourglass::kernels

#else

#include <immintrin.h>

#include "ops/simd/winograd_transforms-inl.h"

namespace hourglass::kernels {
namespace {

struct Avx2 {
  static constexpr const char* kName = "avx2";
  static constexpr int kLanes = 8;
  static constexpr bool kHasBf16 = false;
  using Vector = __m256;
  using Mask = __m256i;

  static Vector set(float x) { return _mm256_set1_ps(x); }
  static Vector set_bits(uint32_t bits) { return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(bits))); }
  static Vector fma(Vector a, Vector x, Vector y) { return _mm256_fmadd_ps(a, x, y); }
  static Vector mul(Vector x, Vector y) { return _mm256_mul_ps(x, y); }
  static Vector add(Vector x, Vector y) { return _mm256_add_ps(x, y); }
  static Vector sub(Vector x, Vector y) { return _mm256_sub_ps(x, y); }

  static __m256i indices() { return _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0); }
  static Mask lanes(int64_t count) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), indices()); }
  static Vector load(const float* p) { return _mm256_loadu_ps(p); }
  static Vector load(const float* p, Mask mask) { return _mm256_maskload_ps(p, mask); }
  static void store(float* p, Vector x) { _mm256_storeu_ps(p, x); }
  static void store(float* p, Mask mask, Vector x) {
    // Most vectors are whole, and masked stores take many micro-operations on AMD's CPUs.
    if (_mm256_movemask_ps(_mm256_castsi256_ps(mask)) == 0xff) return store(p, x);
    _mm256_maskstore_ps(p, mask, x);
  }
  static Vector gather(const float* p, int64_t step, Mask mask) {
    const __m256i offsets = _mm256_mullo_epi32(indices(), _mm256_set1_epi32(static_cast<int>(step)));
    return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), p, offsets, _mm256_castsi256_ps(mask), 4);
  }

  // 12 of 16 registers hold sums.
  static constexpr int rows_of(int vectors) { return 12 / vectors; }
};

}  // namespace

const GemmLoops* gemm_avx2() { return GemmSimd<Avx2>::loops(); }
const WinogradTransforms* winograd_transforms_avx2() { return WinogradSimd<Avx2>::transforms(); }

}  // namespace hourglass::kernels

#endif
