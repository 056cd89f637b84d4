// The plots of `bench threads`: what was measured, with its quartiles, against what more threads could give at best.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/measure/scaling.h"
#include "engine/report/chart.h"

namespace hourglass::cli {

struct ScalingPoint {
  int count = 0;  // of threads, or of fits side by side
  Spread rate;    // per second or hour
};

// Work per second, where the seconds that it takes are spread like this.
Spread rate_of(const Spread& seconds, double work = 1);

// The same image on more threads: iterations per second, and the speed-up beyond this machine as the law predicts it.
// The points in the order of their threads.
Figure strong_scaling_figure(const std::vector<ScalingPoint>& points, const std::optional<Amdahl>& law);
// An image that grows with the threads: pixels per second.
Figure weak_scaling_figure(const std::vector<ScalingPoint>& points);
// The CPUs divided among fits side by side: images per hour.
Figure throughput_figure(const std::vector<ScalingPoint>& points);

}  // namespace hourglass::cli
