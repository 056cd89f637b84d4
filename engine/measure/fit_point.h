// A fit on a number of threads, looked at once a round: how long its iterations take, by op, and where threads wait.
//
//   FitPoint point({.make = make, .threads = 8, .places = place_threads(topology, Bind::cores, 8)}, held);
//   measure_in_rounds({point.visit()}, ...);
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/measure/fit_maker.h"
#include "engine/measure/rounds.h"
#include "engine/runtime/placement.h"

namespace hourglass {

// Seconds of an iteration, or of an op in it.
struct Activity {
  double seconds = 0;   // on the clock
  double parallel = 0;  // in parallel regions
  double busy = 0;      // in these, of a thread, in the mean

  [[nodiscard]] double serial() const { return seconds - parallel; }
  [[nodiscard]] double waiting() const { return parallel - busy; }
  Activity& operator+=(const Activity& other);
  // A number of iterations together, per iteration.
  [[nodiscard]] Activity over(double iterations) const;
};

// The memory that points hold at once: those that find room keep their fits from round to round, others make theirs
// anew.
struct HeldMemory {
  std::size_t most = 0, held = 0;  // bytes
};

class FitPoint {
 public:
  struct Options {
    FitMaker make;
    int threads = 1;
    std::vector<CpuSet> places = {};
    double round_seconds = 0.5;  // that a round times iterations for, at least; two iterations at least
  };
  // `held` must outlive the point.
  FitPoint(Options options, HeldMemory& held);

  // Warms up, then times iterations. Throws what making the fit throws.
  std::vector<double> visit();

  [[nodiscard]] int threads() const { return options_.threads; }
  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }  // of the plan
  [[nodiscard]] int64_t warm_up_iterations() const { return warm_up_; }
  // Per iteration, over all rounds; the ops' seconds add up to those of the iterations.
  [[nodiscard]] std::map<std::string, Activity> ops() const;
  [[nodiscard]] Activity whole() const;
  // Arithmetic and traffic of an iteration, by op (steps.h).
  struct OpWork {
    double flops = 0, bytes = 0;
  };
  [[nodiscard]] const std::map<std::string, OpWork>& work() const { return work_; }

 private:
  void visit_on_worker(std::vector<double>& seconds);
  void count_work();

  Options options_;
  HeldMemory& held_;
  bool keeps_ = false;
  std::unique_ptr<Fit> fit_;
  std::size_t memory_bytes_ = 0;
  int64_t warm_up_ = 0, iterations_ = 0;
  std::map<std::string, Activity> ops_;
  std::map<std::string, OpWork> work_;
};

}  // namespace hourglass
