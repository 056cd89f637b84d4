#include "engine/measure/parallel_regions.h"

#include <dlfcn.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace hourglass {
namespace {

using Clock = std::chrono::steady_clock;

// Of the thread that begins regions; null where nobody asks.
thread_local Regions* counted = nullptr;

double between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

struct Region {
  void (*work)(void*);
  void* data;
  std::atomic<int64_t> busy_ns{0};
  std::atomic<int> threads{0};
};

void timed_work(void* region_data) {
  auto& region = *static_cast<Region*>(region_data);
  const auto start = Clock::now();
  region.work(region.data);
  const auto busy = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start);
  region.busy_ns.fetch_add(busy.count(), std::memory_order_relaxed);
  region.threads.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

RegionClock::RegionClock() : before_(std::exchange(counted, &regions_)) {}
RegionClock::~RegionClock() { counted = before_; }
Regions RegionClock::take() { return std::exchange(regions_, {}); }

bool RegionClock::counts() {
  int64_t count = 0;
  std::jthread([&count] {
    RegionClock clock;
    std::atomic<int> threads = 0;
#pragma omp parallel num_threads(2)
    ++threads;
    count = clock.take().count;
  }).join();
  return count > 0;
}

}  // namespace hourglass

#if defined(__GNUC__) && !defined(__clang__)

extern "C" void GOMP_parallel(void (*work)(void*), void* data, unsigned threads, unsigned flags);

// The program's own definition comes before libgomp's wherever the name is looked up.
extern "C" __attribute__((visibility("default"), used)) void GOMP_parallel(void (*work)(void*), void* data,
                                                                           unsigned threads, unsigned flags) {
  using namespace hourglass;
  using Begin = void (*)(void (*)(void*), void*, unsigned, unsigned);
  static const auto libgomp = reinterpret_cast<Begin>(dlsym(RTLD_NEXT, "GOMP_parallel"));
  Regions* regions = counted;
  if (regions == nullptr) {
    libgomp(work, data, threads, flags);
    return;
  }
  Region region{.work = work, .data = data};
  const auto start = Clock::now();
  libgomp(timed_work, &region, threads, flags);
  ++regions->count;
  regions->parallel += between(start, Clock::now());
  constexpr double kNanosecond = 1e-9;
  regions->busy += kNanosecond * static_cast<double>(region.busy_ns) / std::max(1, region.threads.load());
}

#endif
