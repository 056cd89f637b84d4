// The loops of ops/simd/restoration_loops-inl.h for AVX-512, whatever the build is for.
#include "ops/simd/restoration_loops.h"

#if !defined(__AVX512F__)

namespace hourglass::kernels {
const RestorationLoops* restoration_loops_avx512() { return nullptr; }
}  // namespace hourglass::kernels

#else

#include "ops/simd/restoration_loops-inl.h"

namespace hourglass::kernels {
const RestorationLoops* restoration_loops_avx512() { return RestorationSimd<16>::loops("avx512_core"); }
}  // namespace hourglass::kernels

#endif
