// The loops of ops/simd/restoration_loops-inl.h for every CPU, and the choice among the instruction sets' versions.
#include "ops/simd/isa.h"
#include "ops/simd/restoration_loops-inl.h"

namespace hourglass::kernels {

const RestorationLoops* restoration_loops_any() { return RestorationSimd<4>::loops("any"); }

const RestorationLoops& restoration_loops() {
  if (has(Isa::avx512) && restoration_loops_avx512() != nullptr) return *restoration_loops_avx512();
  if (has(Isa::avx2) && restoration_loops_avx2() != nullptr) return *restoration_loops_avx2();
  return *restoration_loops_any();
}

}  // namespace hourglass::kernels
