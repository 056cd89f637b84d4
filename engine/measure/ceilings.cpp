#include "engine/measure/ceilings.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "engine/runtime/team.h"
#include "ops/loops/clones.h"

namespace hourglass {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// kFloats sums, each multiplied and added to `times` times. They stay in registers as long as these are enough: 48 in
// twelve of SSE, 96 of AVX2, 192 of AVX-512. A unit that gives its result four cycles later, twice a cycle, needs
// eight.
template <int kFloats>
HG_CLONES float multiply_add(int64_t times, float start) {
  float sums[kFloats];
  for (int i = 0; i < kFloats; ++i) sums[i] = start + static_cast<float>(i);
  for (int64_t t = 0; t < times; ++t) {
#pragma omp simd
    for (int i = 0; i < kFloats; ++i) sums[i] = sums[i] * 0.999F + 0.001F;
  }
  float sum = 0;
  for (int i = 0; i < kFloats; ++i) sum += sums[i];
  return sum;
}

HG_CLONES void triad(float* a, const float* b, const float* c, float s, int64_t count) {
  for (int64_t i = 0; i < count; ++i) a[i] = b[i] + s * c[i];
}

template <int kFloats>
double multiply_rate(int threads, double seconds) {
  constexpr int64_t kTimes = 5000;  // 0.01 ms: of many tries some are undisturbed
  double best = 0, spent = 0;
  float kept = 0;
  constexpr int kLeastTries = 3;
  for (int i = 0; i < kLeastTries || spent < seconds; ++i) {
    const auto start = Clock::now();
#pragma omp parallel num_threads(threads) reduction(+ : kept)
    kept += multiply_add<kFloats>(kTimes, static_cast<float>(omp_get_thread_num()));
    const double took = since(start);
    spent += took;
    best = std::max(best, 2.0 * kFloats * kTimes * threads / took);
  }
  // Never so: but the compiler can't know, and so keeps the work.
  if (kept == 1.0F / 3) return 0;
  return best;
}

double triad_rate(int threads, std::size_t array_bytes, double seconds) {
  const auto count = static_cast<int64_t>(array_bytes / sizeof(float));
  const auto size = static_cast<std::size_t>(count);
  const auto a = std::make_unique_for_overwrite<float[]>(size), b = std::make_unique_for_overwrite<float[]>(size),
             c = std::make_unique_for_overwrite<float[]>(size);
  double best = 0, spent = 0;
  constexpr int kLeastTries = 4;  // the first makes the pages
  for (int i = 0; i < kLeastTries || spent < seconds; ++i) {
    const auto start = Clock::now();
#pragma omp parallel num_threads(threads)
    {
      const int64_t me = omp_get_thread_num(), all = omp_get_num_threads();
      const int64_t begin = count * me / all, length = count * (me + 1) / all - begin;
      if (i == 0) {
        for (float* array : {a.get(), b.get(), c.get()}) std::fill_n(array + begin, length, 1.0F);
      }
      triad(a.get() + begin, b.get() + begin, c.get() + begin, 0.5F, length);
    }
    if (i == 0) continue;
    const double took = since(start);
    spent += took;
    best = std::max(best, 3.0 * static_cast<double>(size * sizeof(float)) / took);
  }
  return best;
}

}  // namespace

Ceiling measure_ceiling(int threads, const std::vector<CpuSet>& places, std::size_t array_bytes, double seconds) {
  const Team team(threads, places);
  constexpr double kGiga = 1e9;
  const double rate = std::max(
      {multiply_rate<48>(threads, seconds), multiply_rate<96>(threads, seconds), multiply_rate<192>(threads, seconds)});
  return {.threads = threads, .gflops = rate / kGiga, .gbytes = triad_rate(threads, array_bytes, seconds) / kGiga};
}

std::size_t triad_bytes(int64_t last_cache_bytes, std::size_t free_bytes) {
  constexpr std::size_t kMiB = std::size_t{1} << 20, kLeast = 16 * kMiB, kMost = 1024 * kMiB, kUnknown = 32 * kMiB;
  constexpr std::size_t kTimes = 4, kShare = 8;
  const std::size_t caches = last_cache_bytes > 0 ? static_cast<std::size_t>(last_cache_bytes) : kUnknown;
  const std::size_t most = free_bytes > 0 ? std::clamp(free_bytes / kShare, kLeast, kMost) : kMost;
  return std::clamp(kTimes * caches, kLeast, most);
}

double reference_loop() {
  constexpr int64_t kTimes = 2'000'000;
  const auto start = Clock::now();
  // The factor is read anew each time, so that nothing is known beforehand.
  volatile float factor = 0.999F;
  float x = 1;
  for (int64_t i = 0; i < kTimes; ++i) x = x * factor + 0.001F;
  const double took = since(start);
  factor = x;
  return took;
}

}  // namespace hourglass
