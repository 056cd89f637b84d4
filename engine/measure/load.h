// What else the machine does meanwhile: other programs, the hypervisor, other threads that were given our CPUs.
#pragma once

#include <string>

#include "engine/runtime/affinity.h"

namespace hourglass {

// Counters as they stand at a moment. Linux keeps them in /proc below `root`, which is a test's; 0 where there are
// none.
struct LoadCounters {
  int cpus = 0;             // that the counters are of
  double at = 0;            // seconds on the steady clock
  double busy = 0;          // CPU seconds of all programs
  double stolen = 0;        // CPU seconds that the hypervisor gave to others
  double own = 0;           // CPU seconds of this process
  long preemptions = 0;     // how often a thread of this process lost its CPU before it was done
  double throttled = 0;     // seconds in which a cgroup had used up its quota
  double load_average = 0;  // of the last minute: threads that run or want to, on the whole machine
};
// Of these CPUs; all that the system shows where it shows none of them, or none are given.
LoadCounters read_load(const std::string& root = "", const CpuSet& cpus = affinity_cpus());

struct Load {
  int cpus = 0;             // that all of this is about
  double others = 0;        // CPUs' worth that other programs used
  double stolen = 0;        // CPUs' worth that the hypervisor gave to others
  double preemptions = 0;   // a second
  double throttled = 0;     // share of the time in which the cgroup's quota was used up
  double load_average = 0;  // at the beginning, before this program's own threads count
};
Load load_between(const LoadCounters& begin, const LoadCounters& end);

// "other programs used 1.3 of 2 CPUs, ..."; empty where there is nothing to be said: less than 5 % of the CPUs.
std::string describe(const Load& load);

}  // namespace hourglass
