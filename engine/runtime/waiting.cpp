#include "engine/runtime/waiting.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <latch>
#include <mutex>
#include <system_error>
#include <thread>

#include "engine/runtime/waiting_rule.h"

namespace hourglass {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(20);

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
          std::atomic<int> there = 0;
#pragma omp parallel num_threads(size)
          ++there;
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

SleepingTeams::SleepingTeams(int threads)
    : holder_(std::make_unique<Holder>(std::max(2, omp_get_num_procs() - threads + 2))) {}
SleepingTeams::~SleepingTeams() = default;

class AdaptiveWaiting::Watch {
 public:
  explicit Watch(int threads)
      : thread_([this, threads](const std::stop_token& stop) {
          using Clock = std::chrono::steady_clock;
          WaitingRule rule;
          std::optional<SleepingTeams> sleeping;
          std::mutex mutex;
          std::condition_variable_any ended;
          std::unique_lock lock(mutex);
          auto time = Clock::now();
          double queued_before = seconds_without_cpu().value_or(0);
          int64_t runs_before = runs_ended;
          while (!ended.wait_for(lock, stop, kInterval, [&] { return stop.stop_requested(); })) {
            const auto now = Clock::now();
            const double seconds = std::chrono::duration<double>(now - time).count();
            const double queued = seconds_without_cpu().value_or(0);
            const int64_t runs = runs_ended;
            if (sleeping) seconds_asleep_ += seconds;
            // Less than before where a thread has ended.
            const double share = std::max(0.0, queued - queued_before) / (seconds * threads);
            if (rule.sleep_after(seconds, share, runs - runs_before) != sleeping.has_value()) {
              if (sleeping) {
                sleeping.reset();
              } else {
                sleeping.emplace(threads);
              }
            }
            time = now;
            queued_before = queued;
            runs_before = runs;
          }
        }) {}

  [[nodiscard]] double seconds_asleep() const { return seconds_asleep_; }

 private:
  std::atomic<double> seconds_asleep_ = 0;
  std::jthread thread_;  // the last member: it ends before the others do
};

AdaptiveWaiting::AdaptiveWaiting(int threads) {
  if (threads > 1 && std::getenv("OMP_WAIT_POLICY") == nullptr && seconds_without_cpu())
    watch_ = std::make_unique<Watch>(threads);
}
AdaptiveWaiting::~AdaptiveWaiting() = default;
double AdaptiveWaiting::seconds_asleep() const { return watch_ ? watch_->seconds_asleep() : 0; }

}  // namespace hourglass
