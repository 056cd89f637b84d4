// The plots of `bench threads`: what was measured, with intervals and single rounds, against laws and ceilings.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/measure/laws.h"
#include "engine/measure/scaling.h"
#include "engine/report/chart.h"

namespace hourglass::cli {

struct FigurePoint {
  int count = 0;               // of threads, or of fits side by side
  double x = 0;                // where that is no count
  Interval rate;               // per second or hour
  std::vector<double> rounds;  // the rate in each
  Ceiling ceiling = {};
};

// `work` per second.
FigurePoint figure_point(const ScalingPoint& point, double work);

// The same image on more threads: iterations per second with the laws through them, followed beyond this machine, and
// the ceilings, as multiples of the first point's, beside the speed-up. The points in the order of their threads.
Figure strong_scaling_figure(const std::vector<FigurePoint>& points, const std::optional<LawChoice>& laws);
// An image that grows with the threads: pixels per second.
Figure weak_scaling_figure(const std::vector<FigurePoint>& points);
// The CPUs divided among fits side by side: images per hour.
Figure throughput_figure(const std::vector<FigurePoint>& points);
// MiB over megapixels, and how many there are.
Figure memory_figure(const std::vector<FigurePoint>& points, double limit);

}  // namespace hourglass::cli
