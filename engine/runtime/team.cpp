#include "engine/runtime/team.h"

#include <omp.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace hourglass {

#if defined(__SSE__)

namespace {
// Flush-to-zero and denormals-are-zero: Intel's manual, volume 1, "MXCSR Control and Status Register".
constexpr unsigned kFlush = 0x8040;
thread_local unsigned before = 0;
}  // namespace

Team::Team(int threads) noexcept {
  omp_set_num_threads(threads);
#pragma omp parallel
  {
    before = _mm_getcsr();
    _mm_setcsr(before | kFlush);
  }
}

Team::~Team() {
#pragma omp parallel
  _mm_setcsr(before);
}

#else

Team::Team(int threads) noexcept { omp_set_num_threads(threads); }
Team::~Team() = default;

#endif

}  // namespace hourglass
