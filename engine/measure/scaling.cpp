#include "engine/measure/scaling.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

#include "engine/measure/steps.h"
#include "engine/runtime/cpus.h"
#include "graph/error.h"

namespace hourglass {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::size_t plan_bytes(const Fit& fit) { return fit.plan().arena_bytes() + fit.plan().persistent_bytes(); }

}  // namespace

Amdahl fit_amdahl(const std::vector<std::pair<int, double>>& timings) {
  // t = a + b / n, each equation divided by its t: minimise sum (a x + b y - 1)^2 with x = 1 / t, y = 1 / (n t).
  double xx = 0, xy = 0, yy = 0, x_sum = 0, y_sum = 0;
  for (const auto& [threads, seconds] : timings) {
    const double x = 1 / seconds, y = 1 / (threads * seconds);
    xx += x * x;
    xy += x * y;
    yy += y * y;
    x_sum += x;
    y_sum += y;
  }
  const double determinant = xx * yy - xy * xy;
  if (!(determinant > 1e-12 * xx * yy)) fail("Amdahl's law needs timings at two different thread counts");
  double serial = (x_sum * yy - y_sum * xy) / determinant;
  double parallel = (xx * y_sum - xy * x_sum) / determinant;
  if (serial < 0) {
    serial = 0;
    parallel = y_sum / yy;
  } else if (parallel < 0) {
    parallel = 0;
    serial = x_sum / xx;
  }
  return {.seconds_one = serial + parallel, .serial_fraction = serial / (serial + parallel)};
}

std::vector<ThreadTiming> time_threads(const FitMaker& make, const std::vector<int>& threads,
                                       const TimingOptions& options, const std::function<void(int, int)>& on_round) {
  std::vector<std::unique_ptr<Fit>> fits;
  std::vector<std::vector<double>> samples(threads.size());
  for (const int count : threads) fits.push_back(make(count));
  const int total = options.rounds * static_cast<int>(threads.size());
  int done = 0;
  for (int round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      fits[i]->step();  // the team of threads may be new, the caches are somebody else's
      const auto start = Clock::now();
      constexpr int kLeast = 2;
      for (int k = 0; k < kLeast || since(start) < options.round_seconds; ++k) {
        const auto before = Clock::now();
        fits[i]->step();
        samples[i].push_back(since(before));
      }
      on_round(++done, total);
    }
  }
  std::vector<ThreadTiming> timings;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    ThreadTiming timing{.threads = threads[i],
                        .seconds = spread_of(samples[i]),
                        .iterations = static_cast<int64_t>(samples[i].size()),
                        .op_seconds = {},
                        .memory_bytes = plan_bytes(*fits[i])};
    timing.op_seconds = seconds_by_op(profile_iterations(*fits[i], std::max(3, options.rounds)).steps);
    timings.push_back(std::move(timing));
  }
  return timings;
}

SplitTiming time_split(const FitMaker& make, int instances, int threads, double seconds) {
  std::barrier ready(instances);
  std::mutex mutex;
  std::exception_ptr error;
  SplitTiming timing{.instances = instances, .threads = threads};
  const auto work = [&](int instance) {
    std::unique_ptr<Fit> fit;
    try {
      keep_to_cpus(instance * threads, threads);
      fit = make(threads);
      fit->step();
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
    ready.arrive_and_wait();
    if (error) return;  // written before the barrier, by whoever failed
    const auto start = Clock::now();
    int64_t iterations = 0;
    while (since(start) < seconds) {
      fit->step();
      ++iterations;
    }
    // Its own end, not the deadline: the last iteration counts whole.
    const double rate = static_cast<double>(iterations) / since(start);
    const std::lock_guard lock(mutex);
    timing.iterations_per_second += rate;
    timing.memory_bytes += plan_bytes(*fit);
  };
  {
    std::vector<std::jthread> side_by_side;
    for (int i = 0; i < instances; ++i) side_by_side.emplace_back(work, i);
  }
  if (error) std::rethrow_exception(error);
  return timing;
}

int best_split(const ShareMaker& make, int runs, int threads, double seconds) {
  struct Candidate {
    int at_once, turns;
    std::vector<double> rates;
  };
  std::vector<Candidate> candidates;
  for (int at_once = 1; at_once <= std::min(runs, threads); ++at_once) {
    const int turns = (runs + at_once - 1) / at_once;
    if (candidates.empty() || turns < candidates.back().turns) candidates.push_back({at_once, turns, {}});
  }
  if (candidates.size() == 1) return 1;
  constexpr int kRounds = 3;  // a drift of the machine hits all
  for (int round = 0; round < kRounds; ++round) {
    std::erase_if(candidates, [&](Candidate& candidate) {
      const FitMaker share = [&](int n) { return make(candidate.at_once, n); };
      try {
        candidate.rates.push_back(
            time_split(share, candidate.at_once, threads / candidate.at_once, seconds / kRounds).iterations_per_second);
      } catch (const Error&) {
        if (candidate.at_once == 1) throw;
        return true;
      }
      return false;
    });
  }
  const auto duration = [](const Candidate& candidate) {
    return candidate.turns * candidate.at_once / spread_of(candidate.rates).median;
  };
  return std::min_element(candidates.begin(), candidates.end(),
                          [&](const Candidate& a, const Candidate& b) { return duration(a) < duration(b); })
      ->at_once;
}

std::vector<int> default_thread_counts(int cpus) {
  std::vector<int> counts;
  for (int n = 1; n < cpus; n *= 2) counts.push_back(n);
  counts.push_back(cpus);
  return counts;
}

}  // namespace hourglass
