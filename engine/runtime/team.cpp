#include "engine/runtime/team.h"

#include <omp.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace hourglass {
namespace {

#if defined(__SSE__)

// Flush-to-zero and denormals-are-zero: Intel's manual, volume 1, "MXCSR Control and Status Register".
constexpr unsigned kFlush = 0x8040;
thread_local unsigned before = 0;

void flush_denormals() {
  before = _mm_getcsr();
  _mm_setcsr(before | kFlush);
}
void restore_denormals() { _mm_setcsr(before); }

#else

void flush_denormals() {}
void restore_denormals() {}

#endif

}  // namespace

Team::Team(int threads, const std::vector<CpuSet>& places) noexcept {
  omp_set_num_threads(threads);
  // LLVM's OpenMP gives the calling thread back what it had before a region, and that to all threads of the next one;
  // GCC's leaves each thread as it is.
  flush_denormals();
#pragma omp parallel
  {
    if (omp_get_thread_num() != 0) flush_denormals();
    // The pool's threads may be bound to the places of an earlier team.
    if (places.empty())
      unbind_thread();
    else
      bind_thread(mask_of(places[static_cast<std::size_t>(omp_get_thread_num()) % places.size()]));
  }
}

Team::~Team() {
#pragma omp parallel
  if (omp_get_thread_num() != 0) restore_denormals();
  restore_denormals();
  unbind_thread();
}

}  // namespace hourglass
