// Fits side by side: how fast several of them are together, each on CPUs of its own, and how many are best.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "engine/measure/fit_maker.h"
#include "engine/runtime/placement.h"

namespace hourglass {

struct Split {
  int instances = 1, threads = 1;   // threads of each
  std::vector<CpuSet> places = {};  // of each instance; none: wherever the system puts them
  // Of each instance's threads, within its CPUs; none: anywhere there.
  std::vector<std::vector<CpuSet>> thread_places = {};
};

// Every way to divide so many CPUs evenly, the fewest instances first. Unless `bind` is none, several are kept to CPUs
// of their own where the process has as many, and each binds its threads there so, as restore --jobs --bind does.
std::vector<Split> even_splits(const Topology& topology, int cpus, Bind bind);

struct SplitTiming {
  double iterations_per_second = 0;  // of all together
  std::size_t memory_bytes = 0;      // of all plans together
};
// After a warm-up, all iterate for so many seconds at the same time. Throws what `make` throws.
SplitTiming time_split(const FitMaker& make, const Split& split, double seconds);

// One of `at_once` fits that share what there is, on `threads` threads.
using ShareMaker = std::function<std::unique_ptr<Fit>(int at_once, int threads)>;

// How many of `runs` fits should be in hand at once, each on its share of `threads`, for all of them to end soonest.
// Times every number that saves a turn, in turns, `seconds` each. Numbers at which `make` throws an Error (too little
// memory for so many) don't count; what it throws for a single one is thrown.
int best_split(const ShareMaker& make, int runs, int threads, double seconds);

}  // namespace hourglass
