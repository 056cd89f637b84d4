#include "engine/measure/ceilings.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>

#include "engine/runtime/team.h"
#include "ops/loops/clones.h"

namespace hourglass {
namespace {

using Clock = std::chrono::steady_clock;

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

double now() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

// The most that a team does in a second, of several tries. Each thread's share, work(thread, threads), returns how much
// it was. All of the team wait for each other before it, so that waking them is not counted.
template <class Work>
double best_rate(int threads, double seconds, const Work& work) {
  std::vector<ThreadSpan> spans;
  std::vector<double> done;
  double best = 0;
  constexpr int kLeastTries = 3;
  const double start = now();
  for (int i = 0; i < kLeastTries || now() - start < seconds; ++i) {
#pragma omp parallel num_threads(threads)
    {
      // A team may turn out smaller than asked for.
      const auto me = static_cast<std::size_t>(omp_get_thread_num());
#pragma omp single  // at whose end all wait
      {
        spans.assign(static_cast<std::size_t>(omp_get_num_threads()), {});
        done.assign(spans.size(), 0);
      }
      const double begin = now();
      done[me] = work(static_cast<int64_t>(me), static_cast<int64_t>(spans.size()));
      spans[me] = {.begin = begin, .end = now()};
    }
    best = std::max(best, std::accumulate(done.begin(), done.end(), 0.0) / seconds_of(spans));
  }
  return best;
}

template <int kFloats>
double multiply_rate(int threads, double seconds) {
  constexpr int64_t kTimes = 50'000;  // 0.1 ms: of many tries some are undisturbed, and threads begin within 1 % of it
  return best_rate(threads, seconds, [](int64_t me, int64_t) {
    const float kept = multiply_add<kFloats>(kTimes, static_cast<float>(me));
    // Never so: but the compiler can't know, and so keeps the work.
    return kept == 1.0F / 3 ? 0.0 : 2.0 * kFloats * kTimes;
  });
}

// Bytes a second, of arrays of `count` elements.
double triad_rate(int threads, int64_t count, double seconds) {
  const auto size = static_cast<std::size_t>(count);
  const auto a = std::make_unique_for_overwrite<float[]>(size), b = std::make_unique_for_overwrite<float[]>(size),
             c = std::make_unique_for_overwrite<float[]>(size);
  const auto share = [&](int64_t me, int64_t all, const auto& work) {
    const int64_t begin = count * me / all, length = count * (me + 1) / all - begin;
    work(begin, length);
    return 3.0 * static_cast<double>(length) * sizeof(float);
  };
  // The first write makes the pages, on the node of the thread that will use them.
#pragma omp parallel num_threads(threads)
  share(omp_get_thread_num(), omp_get_num_threads(), [&](int64_t begin, int64_t length) {
    for (float* array : {a.get(), b.get(), c.get()}) std::fill_n(array + begin, length, 1.0F);
  });
  return best_rate(threads, seconds, [&](int64_t me, int64_t all) {
    return share(me, all, [&](int64_t begin, int64_t length) {
      triad(a.get() + begin, b.get() + begin, c.get() + begin, 0.5F, length);
    });
  });
}

}  // namespace

double seconds_of(const std::vector<ThreadSpan>& spans) {
  double begin = spans.front().begin, end = spans.front().end;
  for (const ThreadSpan& span : spans) begin = std::min(begin, span.begin), end = std::max(end, span.end);
  constexpr double kTick = 1e-9;
  return std::max(end - begin, kTick);
}

Ceiling measure_ceiling(int threads, const std::vector<CpuSet>& places, std::size_t array_bytes, double seconds) {
  const Team team(threads, places);
  constexpr double kGiga = 1e9;
  const double rate = std::max(
      {multiply_rate<48>(threads, seconds), multiply_rate<96>(threads, seconds), multiply_rate<192>(threads, seconds)});
  // A virtual machine may claim the caches of a whole host, and others may want the CPUs: arrays are no longer than is
  // passed in so many seconds, as a first look at short ones says.
  constexpr double kPass = 0.02;
  constexpr std::size_t kShort = std::size_t{16} << 20;
  const auto elements = [](double bytes) { return static_cast<int64_t>(bytes / sizeof(float)); };
  double bandwidth = triad_rate(threads, elements(static_cast<double>(std::min(array_bytes, kShort))), seconds);
  const double bytes = std::min(static_cast<double>(array_bytes), bandwidth * kPass / 3);
  if (bytes > kShort) bandwidth = triad_rate(threads, elements(bytes), seconds);
  return {.threads = threads, .gflops = rate / kGiga, .gbytes = bandwidth / kGiga};
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
  const double start = now();
  // The factor is read anew each time, so that nothing is known beforehand.
  volatile float factor = 0.999F;
  float x = 1;
  for (int64_t i = 0; i < kTimes; ++i) x = x * factor + 0.001F;
  const double took = now() - start;
  factor = x;
  return took;
}

}  // namespace hourglass
