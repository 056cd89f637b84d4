#include "ops/loops/parallel.h"

#include <algorithm>

#include <omp.h>

namespace hourglass::kernels {

int64_t parts_of(int64_t count) {
  const int64_t threads = omp_get_max_threads();
  return std::min<int64_t>(count, threads == 1 ? 1 : kPartsPerThread * threads);
}

void run_on_threads(int64_t parts, void (*body)(const void* context, int64_t thread, WorkStealing& work),
                    const void* context) {
  WorkStealing work(parts, omp_get_max_threads());
#pragma omp parallel
  body(context, omp_get_thread_num(), work);
}

}  // namespace hourglass::kernels
