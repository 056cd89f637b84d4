// Where an iteration goes, step by step: time, arithmetic and memory traffic of every kernel in a fit's plan.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/measure/statistics.h"
#include "engine/runtime/plan.h"
#include "engine/train/fit.h"

namespace hourglass {

struct Work {
  double flops = 0;  // twice the multiply-adds of convolutions and matrix products; 0 for all else
  double bytes = 0;  // each operand once
};
Work work_of(const Graph& graph, const Node& node);

struct StepProfile {
  StepInfo info;      // op "Noise", "Average" or "Adam" for what surrounds the plan
  int64_t step = -1;  // index into the plan's steps; -1 for what surrounds it
  std::string shape;  // of the first output
  Spread seconds;     // over the iterations
  double flops = 0;   // as Work says; none for a reorder
  double bytes = 0;
  double alone = 0;   // see time_convolutions()
  double onednn = 0;  // see time_convolutions()
};

struct Profile {
  Spread seconds;                  // of whole iterations
  std::vector<StepProfile> steps;  // in order; together they are the iteration
};

// Does that many iterations of the fit, and says what each step took in its place in them, with the caches as it finds
// them there.
Profile profile_iterations(Fit& fit, int64_t iterations);

// Fills in `alone` for convolutions and matrix products: the seconds of their primitives without anything around them,
// the median of `times` runs one after another. Their sum is the convolution floor: what the iteration would take
// were all else free. And `onednn`: the same of what oneDNN itself has for the convolution, whatever the plan does;
// `alone` where it has nothing.
void time_convolutions(Fit& fit, std::vector<StepProfile>& steps, int64_t times);

// Medians summed by op; reorders under "Reorder".
std::map<std::string, double> seconds_by_op(const std::vector<StepProfile>& steps);

// What this machine can do with that many threads, the best of several tries: GFLOP/s of a convolution with 1x1 kernels
// on 256 channels that stay in the caches (a matrix product), and GB/s of copying 256 MiB, read and write counted.
struct Peak {
  double gflops = 0, gbytes = 0;
};
Peak measure_peak(int threads, Precision precision);

}  // namespace hourglass
