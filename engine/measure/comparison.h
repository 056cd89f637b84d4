// Two measurements of the same points, on different days or by different builds: is one faster?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/measure/statistics.h"

namespace hourglass {

// A point of a measurement: its name, and the seconds of an iteration in each round.
struct NamedRounds {
  std::string name;
  std::vector<double> rounds;
};

enum class Verdict : uint8_t {
  faster,
  slower,
  no_difference,
  unknown  // fewer rounds than kLeastForInterval: chance alone has all rounds of one before those of the other
};

struct PointComparison {
  std::string name;
  double seconds_before = 0, seconds_now = 0;
  Interval speed;  // now over before: above 1 is faster
  Verdict verdict = Verdict::no_difference;
};

struct Comparison {
  std::vector<PointComparison> points;   // in the order of `before`
  std::vector<std::string> gone, added;  // points of only `before`, of only `now`
  [[nodiscard]] bool any(Verdict verdict) const;
};

// Faster or slower is what differs by more than `tolerance`, a share of the speed, and surely does: its interval leaves
// out 1. The interval is that of all points at once (Bonferroni): where nothing differs, one of 20 comparisons says of
// any of its points that it does. It knows what happened within the two measurements, not that another day differs.
Comparison compare(const std::vector<NamedRounds>& before, const std::vector<NamedRounds>& now, double tolerance);

std::string_view name_of(Verdict verdict);

}  // namespace hourglass
