// Parallel loops over OpenMP's threads. Work is cut into parts; their number depends on the loop's length and on the
// number of threads. Sums belong to parts and are combined in their order, so they do not depend on which thread was
// faster.
#pragma once

#include <cstdint>

#include "ops/loops/work_stealing.h"

namespace hourglass::kernels {

// Parts per thread: a thread that has finished its own takes over parts that another one has not begun
// (ops/loops/work_stealing.h).
constexpr int64_t kPartsPerThread = 16;
int64_t parts_of(int64_t count);

// body(context, thread, work) once on each thread, where `work` holds parts [0, parts). The parallel region itself,
// which is compiled once for all loops.
void run_on_threads(int64_t parts, void (*body)(const void* context, int64_t thread, WorkStealing& work),
                    const void* context);

// body(thread, take) once on each thread: take() gives the thread its next one of parts [0, parts), or -1 when none is
// left. A thread gets neighbouring parts in ascending order, except where it goes on with another thread's. Which
// thread gets which part differs from run to run, so sums must belong to parts.
template <typename Body>
void parallel_parts(int64_t parts, const Body& body) {
  run_on_threads(
      parts,
      [](const void* context, int64_t me, WorkStealing& work) {
        (*static_cast<const Body*>(context))(me, [&] { return work.take(me); });
      },
      &body);
}

// body(i) for i in [0, count), cut into parts.
template <typename Body>
void parallel_for(int64_t count, const Body& body) {
  const int64_t parts = parts_of(count);
  parallel_parts(parts, [&](int64_t, const auto& take) {
    for (int64_t part = take(); part >= 0; part = take()) {
      for (int64_t i = count * part / parts; i < count * (part + 1) / parts; ++i) body(i);
    }
  });
}

// body(begin, end) over ranges that together are [0, count), with bounds that are multiples of `grain`, cut into parts.
template <typename Body>
void parallel_ranges(int64_t count, int64_t grain, const Body& body) {
  const int64_t chunks = (count + grain - 1) / grain, parts = parts_of(chunks);
  parallel_for(parts, [&](int64_t part) {
    const int64_t begin = chunks * part / parts * grain, end = chunks * (part + 1) / parts * grain;
    body(begin, end < count ? end : count);
  });
}

}  // namespace hourglass::kernels
