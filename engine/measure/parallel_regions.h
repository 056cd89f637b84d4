// Where threads wait: how much of a piece of work runs on one thread alone, and how long threads stand at barriers.
//
// Between two parallel regions of OpenMP the calling thread is alone: serial. Within one, threads that have not been
// woken yet, or have done their part and wait for the last one: waiting. The rest is busy, as is, by this count, a
// thread that waits for memory.
//
//   RegionClock clock;                 // counts as long as it lives, on the thread that made it
//   fit.step_timed(parts, ...);
//   const Regions regions = clock.take();
//
// It stands between the program and libgomp, whose GOMP_parallel() begins each region of code that GCC compiled, our
// own and oneDNN's alike. Elsewhere (libomp) nothing is counted, which counts() says.
#pragma once

#include <chrono>
#include <cstdint>

namespace hourglass {

struct Regions {
  int64_t count = 0;
  double parallel = 0;  // seconds from the beginnings of the regions to their ends
  double busy = 0;      // of these, per thread of the region, in the mean: less than `parallel` by what threads wait
};

class RegionClock {
 public:
  RegionClock();
  ~RegionClock();
  RegionClock(const RegionClock&) = delete;
  RegionClock& operator=(const RegionClock&) = delete;

  // What has been counted since the last call, or since the beginning.
  Regions take();
  // Whether regions are seen at all. Begins one, on a thread of its own.
  static bool counts();

 private:
  Regions regions_, *before_;
};

}  // namespace hourglass
