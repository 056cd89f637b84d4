#include "engine/runtime/waiting.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <latch>
#include <mutex>
#include <system_error>
#include <thread>

#include "engine/runtime/waiting_rule.h"

namespace hourglass {
namespace {

// Looking takes some 10 microseconds for each thread.
std::chrono::milliseconds interval_for(int threads) { return std::chrono::milliseconds(std::max(20, 2 * threads)); }

// A team of more threads than that is too much for what it is for.
constexpr int kMostForSleep = 64;
int threads_for_sleep(int threads) { return std::max(2, omp_get_num_procs() - threads + 2); }

#if defined(__GNUC__) && !defined(__clang__)
constexpr bool kIsLibgomp = true;
#else
constexpr bool kIsLibgomp = false;
#endif

std::atomic<int64_t> runs_ended = 0;

}  // namespace

std::optional<double> seconds_without_cpu(const std::string& folder) {
  std::error_code error;
  double seconds = 0;
  bool counted = false;
  for (std::filesystem::directory_iterator thread(folder + "/task", error), end; !error && thread != end;
       thread.increment(error)) {
    // "1019293 20831 12": nanoseconds on a CPU, nanoseconds in a run queue, number of time slices (Linux,
    // Documentation/scheduler/sched-stats.rst). A thread may end meanwhile.
    std::ifstream file(thread->path() / "schedstat");
    double on_cpu = 0, queued = 0;
    if (!(file >> on_cpu >> queued)) continue;
    seconds += queued * 1e-9;
    counted = counted || on_cpu > 0;
  }
  return counted ? std::optional(seconds) : std::nullopt;
}

void count_run() noexcept { runs_ended.fetch_add(1, std::memory_order_relaxed); }

class SleepingTeams::Holder {
 public:
  explicit Holder(int size)
      : thread_([this, size](const std::stop_token& stop) {
          // A region without anything in it would be left out by the compiler.
          std::atomic<int> begun = 0;
#pragma omp parallel num_threads(size)
          ++begun;
          begun_.count_down();
          std::mutex mutex;
          std::condition_variable_any ended;
          std::unique_lock lock(mutex);
          ended.wait(lock, stop, [] { return false; });
        }) {
    begun_.wait();
  }

 private:
  std::latch begun_{1};
  std::jthread thread_;  // the last member: it ends before the others do
};

SleepingTeams::SleepingTeams(int threads) : holder_(std::make_unique<Holder>(threads_for_sleep(threads))) {}
SleepingTeams::~SleepingTeams() = default;

class AdaptiveWaiting::Watch {
 public:
  explicit Watch(int threads)
      : thread_([this, threads](const std::stop_token& stop) {
          try {
            look_on(threads, stop);
          } catch (const std::exception&) {
            // Too little memory, or no further thread: threads wait as they did before.
          }
        }) {}

  [[nodiscard]] double seconds_asleep() const { return seconds_asleep_; }

 private:
  void look_on(int threads, const std::stop_token& stop) {
    using Clock = std::chrono::steady_clock;
    WaitingRule rule;
    std::optional<SleepingTeams> sleeping;
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    auto time = Clock::now();
    double queued_before = seconds_without_cpu().value_or(0);
    int64_t runs_before = runs_ended;
    while (!ended.wait_for(lock, stop, interval_for(threads), [&] { return stop.stop_requested(); })) {
      const auto now = Clock::now();
      const double seconds = std::chrono::duration<double>(now - time).count();
      const double queued = seconds_without_cpu().value_or(0);
      const int64_t runs = runs_ended;
      if (sleeping) seconds_asleep_ += seconds;
      // Less than before where a thread has ended.
      const double share = std::max(0.0, queued - queued_before) / (seconds * threads);
      const bool sleep = rule.sleep_after(seconds, share, runs - runs_before);
      if (sleep && !sleeping) sleeping.emplace(threads);
      if (!sleep) sleeping.reset();
      time = now;
      queued_before = queued;
      runs_before = runs;
    }
  }

  std::atomic<double> seconds_asleep_ = 0;
  std::jthread thread_;  // the last member: it ends before the others do
};

AdaptiveWaiting::AdaptiveWaiting(int threads) {
  const bool possible = kIsLibgomp && threads > 1 && threads_for_sleep(threads) <= kMostForSleep &&
                        std::getenv("OMP_WAIT_POLICY") == nullptr && seconds_without_cpu();
  if (!possible) return;
  try {
    watch_ = std::make_unique<Watch>(threads);
  } catch (const std::system_error&) {
    // There can be no further thread.
  }
}
AdaptiveWaiting::~AdaptiveWaiting() = default;
double AdaptiveWaiting::seconds_asleep() const { return watch_ ? watch_->seconds_asleep() : 0; }

}  // namespace hourglass
