// Measuring several things in rounds, each of which looks at all of them in turn, so that a machine that drifts hits
// all alike; until all are known well enough.
//
//   const Rounds rounds = measure_in_rounds(visits, {.precision_goal = 0.01}, {.reference = reference_loop}, on_visit);
//   median_interval(rounds.medians(0));
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/measure/statistics.h"

namespace hourglass {

struct RoundOptions {
  std::optional<int> rounds = {};  // exactly so many; none: until the goal or the time limit is reached
  double precision_goal = 0.01;    // half the interval's width, as a share of the median, for every point
  double time_limit = 120;         // seconds; a round that would take longer, as the one before says, isn't begun
};
inline constexpr int kMostRounds = 1000;

// Looks at one point: warms up, and returns the samples of this round, one at least.
using Visit = std::function<std::vector<double>()>;

struct RoundTools {
  // Seconds that a fixed piece of work takes now, at the machine's present speed; asked before each visit and at the
  // end.
  std::function<double()> reference;
  // Seconds since some moment.
  std::function<double()> clock;
};

enum class Ended : uint8_t { precise, out_of_time, as_asked };

struct Rounds {
  std::vector<std::vector<std::vector<double>>> samples;  // [point][round][sample]
  std::vector<double> reference;                          // seconds, in the order of time
  double seconds = 0;                                     // all in all
  Ended ended = Ended::as_asked;

  [[nodiscard]] int count() const { return samples.empty() ? 0 : static_cast<int>(samples[0].size()); }
  // Of each round.
  [[nodiscard]] std::vector<double> medians(std::size_t point) const;
  // All samples of a point.
  [[nodiscard]] std::vector<double> all(std::size_t point) const;
};

// How far a measurement is: the share of its rounds or of its time, and the widest interval.
struct RoundProgress {
  int rounds = 0;        // whole ones
  double share = 0;      // of the time limit, or of the rounds that were asked for
  double precision = 0;  // 0 until kLeastForInterval
};

// One round at least.
Rounds measure_in_rounds(const std::vector<Visit>& visits, const RoundOptions& options, const RoundTools& tools,
                         const std::function<void(const RoundProgress&)>& on_visit);

// Warm-up: caches, pages, threads, the CPU's clock. It is over at the first iteration that is less than 2 % faster than
// the fastest before it; or after kMostWarmUp iterations or max_seconds.
class WarmUp {
 public:
  explicit WarmUp(double max_seconds) : max_seconds_(max_seconds) {}
  // An iteration took so long; is it over?
  bool done(double seconds);
  [[nodiscard]] int iterations() const { return iterations_; }

 private:
  double max_seconds_, sum_ = 0, fastest_ = 0;
  int iterations_ = 0;
};

// What the reference loop says of the machine's speed during a measurement.
struct Drift {
  double slower_at_end = 0;  // the median of the last third over that of the first, less 1: 0.1 is 10 % slower
  double slow_share = 0;     // of the looks in which the loop took over 10 % more than in the fastest tenth
  double slowest = 0;        // the slowest over the fastest tenth, less 1
};
Drift drift_of(const std::vector<double>& reference);

}  // namespace hourglass
