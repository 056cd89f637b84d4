// Internal to engine/image: libjxl's work on OpenMP's threads.
#pragma once

#include <jxl/parallel_runner.h>
#include <omp.h>

namespace hourglass::detail {

// A JxlParallelRunner; its own argument is not used.
inline JxlParallelRetCode run_jxl_in_parallel(void* /*unused*/, void* work, JxlParallelRunInit init,
                                              JxlParallelRunFunction part, uint32_t begin, uint32_t end) {
  const int threads = omp_get_max_threads();
  if (const JxlParallelRetCode code = init(work, static_cast<size_t>(threads))) return code;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (uint32_t i = begin; i < end; ++i) part(work, i, static_cast<size_t>(omp_get_thread_num()));
  return 0;
}

}  // namespace hourglass::detail
