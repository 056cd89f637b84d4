#include "engine/measure/side_by_side.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "engine/measure/rounds.h"
#include "engine/measure/statistics.h"
#include "graph/error.h"

namespace hourglass {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

std::vector<Split> even_splits(const Topology& topology, int cpus, Bind bind) {
  std::vector<Split> splits;
  for (int n = cpus; n >= 1; --n) {
    if (cpus % n != 0) continue;
    Split split{.instances = cpus / n, .threads = n};
    if (bind != Bind::none) {
      if (split.instances == 1) {
        split.thread_places = {place_threads(topology, bind, n)};
      } else {
        split.places = split_cpus(topology, split.instances, n);
      }
    }
    for (const CpuSet& place : split.places) {
      split.thread_places.push_back(place_threads(topology.within(place), bind, n));
    }
    splits.push_back(std::move(split));
  }
  return splits;
}

SplitTiming time_split(const FitMaker& make, const Split& split, double seconds) {
  std::barrier ready(split.instances);
  std::mutex mutex;
  std::exception_ptr error;
  SplitTiming timing;
  const auto work = [&](std::size_t instance) {
    std::unique_ptr<Fit> fit;
    try {
      if (!split.places.empty()) keep_to(mask_of(split.places[instance]));
      fit = make(split.threads, split.thread_places.empty() ? std::vector<CpuSet>() : split.thread_places[instance]);
      fit->step();
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
    ready.arrive_and_wait();
    if (error) return;  // written before the barrier, by whoever failed
    const auto iterate = [&] {
      const auto start = Clock::now();
      fit->step();
      return since(start);
    };
    WarmUp warm_up(seconds);
    while (!warm_up.done(iterate())) {
    }
    ready.arrive_and_wait();
    const auto start = Clock::now();
    int64_t iterations = 0;
    while (since(start) < seconds || iterations == 0) {
      fit->step();
      ++iterations;
    }
    // Its own end, not the deadline: the last iteration counts whole.
    const double rate = static_cast<double>(iterations) / since(start);
    const std::lock_guard lock(mutex);
    timing.iterations_per_second += rate;
    timing.memory_bytes += fit->plan().arena_bytes() + fit->plan().persistent_bytes();
  };
  {
    std::vector<std::jthread> side_by_side;
    for (int i = 0; i < split.instances; ++i) {
      try {
        side_by_side.emplace_back(work, static_cast<std::size_t>(i));
      } catch (const std::system_error&) {
        // Those that have begun wait for all: without the rest, they see the error and end.
        {
          const std::lock_guard lock(mutex);
          error = std::current_exception();
        }
        for (; i < split.instances; ++i) ready.arrive_and_drop();
      }
    }
  }
  if (error) std::rethrow_exception(error);
  return timing;
}

int best_split(const ShareMaker& make, int runs, int threads, double seconds) {
  struct Candidate {
    int at_once, turns;
    Split split;
    std::vector<double> rates;
  };
  std::vector<Candidate> candidates;
  const Topology topology = read_topology();
  for (int at_once = 1; at_once <= std::min(runs, threads); ++at_once) {
    const int turns = (runs + at_once - 1) / at_once;
    if (!candidates.empty() && turns >= candidates.back().turns) continue;
    Split split{.instances = at_once, .threads = threads / at_once};
    if (at_once > 1) split.places = split_cpus(topology, at_once, split.threads);
    candidates.push_back({at_once, turns, std::move(split), {}});
  }
  if (candidates.size() == 1) return 1;
  constexpr int kRounds = 3;  // a drift of the machine hits all
  for (int round = 0; round < kRounds; ++round) {
    std::erase_if(candidates, [&](Candidate& candidate) {
      const FitMaker share = [&](int n, const std::vector<CpuSet>&) { return make(candidate.at_once, n); };
      try {
        candidate.rates.push_back(time_split(share, candidate.split, seconds / kRounds).iterations_per_second);
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

}  // namespace hourglass
