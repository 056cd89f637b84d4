// How iterations scale with threads: the same image on more of them, or one that grows with them.
//
//   const ScalingRun run = measure_scaling(make, topology, {.threads = {1, 2, 4}}, on_progress);
//   for (const std::string& sentence : explain(run)) ...   // explain.h
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/measure/ceilings.h"
#include "engine/measure/fit_point.h"
#include "engine/measure/laws.h"
#include "engine/measure/load.h"
#include "engine/measure/rounds.h"
#include "engine/runtime/placement.h"

namespace hourglass {

// An op at one number of threads, per iteration.
struct OpPoint {
  Activity activity;
  FitPoint::OpWork work;
};

struct ScalingPoint {
  int threads = 0;
  double work = 1;                           // of an iteration, compared with the first point's: 1 in strong scaling
  std::vector<double> rounds;                // seconds of an iteration, each round's median
  std::vector<std::vector<double>> samples;  // of each round, the seconds of its iterations
  Interval seconds;                          // of an iteration
  Spread spread;                             // of all single iterations
  int64_t iterations = 0;                    // that were timed
  std::vector<double> far_out;               // seconds of those far from all others
  Interval speed_up;                         // work per second over the first point's
  Interval efficiency;                       // the same per thread
  int64_t warm_up = 0;                       // iterations before, in all rounds
  std::size_t memory_bytes = 0;              // of the plan
  Activity whole;
  std::map<std::string, OpPoint> ops;
  Ceiling ceiling;
};

// How threads were bound to CPUs, and how that was decided.
struct BindChoice {
  Bind bind = Bind::none;
  // Seconds of an iteration with the most threads over those without a binding, by binding; empty where none was tried.
  std::map<Bind, Interval> tried = {};
};

struct ScalingRun {
  std::vector<ScalingPoint> points;  // ascending threads
  BindChoice bind;
  Ended ended = Ended::as_asked;
  double seconds = 0;  // all in all
  int rounds = 0;
  std::vector<double> reference;  // see Rounds
  Load load;
  bool regions_seen = false;      // else all of an Activity counts as busy
  bool grows = false;             // weak scaling
  std::optional<LawChoice> laws;  // strong scaling at two thread counts or more
};

struct ScalingOptions {
  std::vector<int> threads;       // ascending, without repetition
  std::vector<double> work = {};  // of each; empty: the same image at all
  std::optional<Bind> bind = {};  // none: what measures best
  RoundOptions rounds = {};       // whose limit holds for all of it: bindings, ceilings and rounds
  double round_seconds = 0.5;
  std::size_t memory = 0;       // bytes that plans may be kept in from round to round
  std::size_t array_bytes = 0;  // for measure_ceiling()
};

// progress(stage, share): what is done now, and how much of it.
using ScalingProgress = std::function<void(const std::string& stage, const RoundProgress& progress)>;

// `make` is asked for options.threads alone.
ScalingRun measure_scaling(const FitMaker& make, const Topology& topology, const ScalingOptions& options,
                           const ScalingProgress& progress);

// Of bindings' seconds over those without, the binding that is surely faster than none, the fastest of these; none
// where none is.
Bind fastest_bind(const std::map<Bind, Interval>& tried);

// The numbers of threads to look at on so many CPUs: 1, 2, 4, ..., those at which the machine changes (landmarks()),
// and all.
std::vector<int> thread_counts(const Topology& topology, int cpus);

}  // namespace hourglass
