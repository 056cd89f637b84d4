// The loops of ops/simd/restoration_loops-inl.h for AVX2, whatever the build is for.
#include "ops/simd/restoration_loops.h"

#if !defined(__AVX2__)

namespace hourglass::kernels {
const RestorationLoops* restoration_loops_avx2() { return nullptr; }
}  // namespace hourglass::kernels

#else

#include "ops/simd/restoration_loops-inl.h"

namespace hourglass::kernels {
const RestorationLoops* restoration_loops_avx2() { return RestorationSimd<8>::loops("avx2"); }
}  // namespace hourglass::kernels

#endif
