// How iterations scale with threads: timings at several thread counts, Amdahl's law through them, and fits side by
// side.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/measure/statistics.h"
#include "engine/train/fit.h"

namespace hourglass {

// G. M. Amdahl, AFIPS 1967: with a share s of the work serial, n threads take t(n) = t(1) (s + (1 - s) / n).
struct Amdahl {
  double seconds_one = 0;      // t(1)
  double serial_fraction = 0;  // s, 0 to 1

  [[nodiscard]] double seconds(double threads) const {
    return seconds_one * (serial_fraction + (1 - serial_fraction) / threads);
  }
  [[nodiscard]] double speed_up(double threads) const { return seconds_one / seconds(threads); }
  // With infinitely many threads; infinite for s = 0.
  [[nodiscard]] double limit() const { return 1 / serial_fraction; }
};

// Least squares on the relative errors of (threads, seconds), with neither part negative. Needs two different thread
// counts; throws Error otherwise.
Amdahl fit_amdahl(const std::vector<std::pair<int, double>>& timings);

// Makes the fit that is to be timed on so many threads.
using FitMaker = std::function<std::unique_ptr<Fit>(int threads)>;

struct ThreadTiming {
  int threads = 0;
  Spread seconds;                            // of an iteration
  int64_t iterations = 0;                    // that were timed
  std::map<std::string, double> op_seconds;  // per iteration, by op
  std::size_t memory_bytes = 0;              // the plan's
};

struct TimingOptions {
  int rounds = 5;              // each round times every count once, in turn, so that a drift of the machine hits all
  double round_seconds = 0.5;  // at least, and at least two iterations
};

// on_round(done, total) is called after each timing.
std::vector<ThreadTiming> time_threads(const FitMaker& make, const std::vector<int>& threads,
                                       const TimingOptions& options,
                                       const std::function<void(int done, int total)>& on_round);

// `instances` fits at the same time, each on `threads` threads of its own and kept to CPUs of its own where the system
// lets it.
struct SplitTiming {
  int instances = 0, threads = 0;
  double iterations_per_second = 0;  // of all together
  std::size_t memory_bytes = 0;      // of all plans together
};
SplitTiming time_split(const FitMaker& make, int instances, int threads, double seconds);

// One of `at_once` fits that share what there is, on `threads` threads.
using ShareMaker = std::function<std::unique_ptr<Fit>(int at_once, int threads)>;

// How many of `runs` fits should be in hand at once, each on its share of `threads`, for all of them to end soonest.
// Times every number that saves a turn, in turns, `seconds` each. Numbers at which `make` throws an Error (too little
// memory for so many) don't count; what it throws for a single one is thrown.
int best_split(const ShareMaker& make, int runs, int threads, double seconds);

// 1, 2, 4, ... up to `cpus`, and `cpus` itself.
std::vector<int> default_thread_counts(int cpus);

}  // namespace hourglass
