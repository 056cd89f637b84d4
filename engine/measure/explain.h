// A measurement of scaling in plain words: what stops it, from how many threads on, and what to set.
#pragma once

#include <string>
#include <vector>

#include "engine/measure/scaling.h"

namespace hourglass {

// Where the CPU time of n threads goes that one thread would not have needed, as shares of all of it, n t(n). Together
// with `useful` they are 1.
struct Losses {
  double useful = 0;   // t(1) / (n t(n)): the efficiency, but for medians and means
  double serial = 0;   // others wait while one thread is alone
  double waiting = 0;  // at barriers, and until threads are woken
  double slower = 0;   // the same work takes a thread longer than it took alone: memory, caches, the clock. May be < 0
};
Losses losses_of(const Activity& one, const Activity& many, int threads);

// The fewest threads whose speed can't be told from the best one's: no point is surely faster. Of strong scaling.
const ScalingPoint& enough_threads(const ScalingRun& run);

// The largest share of a ceiling that the op reaches: of the multiplications a second, or of the bytes. Over 1 where
// its operands stay in the caches, or where it needs fewer multiplications than are counted (Winograd's).
double share_of_roofline(const OpPoint& op, const Ceiling& ceiling);

// What made figures a disturbed machine's: other programs, the hypervisor, a quota, and what the reference loop says of
// the machine's speed (Rounds). Empty where nothing did.
std::string what_disturbed(const Load& load, const std::vector<double>& reference);

// Sentences, in this order: what disturbed the measurement, how it scales, where the time of the most threads goes and
// in which ops, what the ceilings and the laws say.
std::vector<std::string> explain(const ScalingRun& run, const Topology& topology);

}  // namespace hourglass
