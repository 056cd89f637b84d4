// What this machine can do at best with so many threads, by loops of our own that do nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/runtime/placement.h"

namespace hourglass {

struct Ceiling {
  int threads = 0;
  double gflops = 0;  // f32 multiply-adds in registers, two operations each, 1e9 a second
  double gbytes = 0;  // of memory in a[i] = b[i] + s c[i], 1e9 bytes a second
};

// When a thread began its share of a piece of work, and when it was done; seconds since some moment.
struct ThreadSpan {
  double begin = 0, end = 0;
};
// From the first thread's beginning to the last one's end. What came before, waking them, is no part of the work.
double seconds_of(const std::vector<ThreadSpan>& spans);

// On the threads of a team of that size, begun by the calling thread, kept to `places` where there are any: the best of
// several tries, for `seconds` at least. The arrays hold `array_bytes` each, first touched by those who use them; fewer
// where a pass would take more than a fiftieth of a second.
//
// Bandwidth counts as STREAM does (J. D. McCalpin, IEEE TCCA Newsletter, December 1995): b and c read and a written, 12
// bytes an element; that most CPUs read a before they write it is not counted. Arrays should hold four times what the
// last-level caches do.
Ceiling measure_ceiling(int threads, const std::vector<CpuSet>& places, std::size_t array_bytes, double seconds = 0.02);

// Bytes of an array for measure_ceiling(): four times the last-level caches (32 MiB where nobody knows), at most an
// eighth of the free memory, 16 to 1024 MiB.
std::size_t triad_bytes(int64_t last_cache_bytes, std::size_t free_bytes);

// Seconds that a fixed chain of multiply-adds takes on the calling thread, each waiting for the one before: it goes
// with the CPU's clock and with who else wants the CPU, and with nothing else. A few milliseconds.
double reference_loop();

}  // namespace hourglass
