#include "engine/cli/scaling_figure.h"

#include <fmt/format.h>

namespace hourglass::cli {
namespace {

// As far beyond the measured threads as the law is followed.
constexpr int kBeyond = 4;

// Whole numbers: 1 and the multiples of a power of two, about ten of them.
std::vector<double> whole_ticks(int most) {
  constexpr int kTicks = 12;
  int step = 1;
  while (most / step > kTicks) step *= 2;
  std::vector<double> ticks{1};
  for (int n = step; n <= most; n += step) {
    if (n > 1) ticks.push_back(n);
  }
  return ticks;
}

Axis counts(const std::string& label, int most) { return {.label = label, .low = 0, .ticks = whole_ticks(most)}; }

Series measured(const std::vector<ScalingPoint>& points, double unit) {
  Series series{.name = "measured", .dots = true, .color = 0};
  for (const ScalingPoint& point : points) {
    series.x.push_back(point.count);
    series.y.push_back(point.rate.median / unit);
    series.low.push_back(point.rate.low / unit);
    series.high.push_back(point.rate.high / unit);
  }
  return series;
}

// Each thread as fast as those of the first point.
Series ideal(const ScalingPoint& first, int most, double unit) {
  const double per_thread = first.rate.median / first.count / unit;
  return {.name = "ideal",
          .x = {1.0, static_cast<double>(most)},
          .y = {per_thread, per_thread * most},
          .line = Line::dashed,
          .color = 4};
}

Series predicted(const Amdahl& law, int most, double unit) {
  Series series{.name = "Amdahl", .line = Line::dotted, .color = 1};
  constexpr int kPoints = 100;
  for (int i = 0; i <= kPoints; ++i) {
    const double threads = 1 + (most - 1.0) * i / kPoints;
    series.x.push_back(threads);
    series.y.push_back(1 / law.seconds(threads) / unit);
  }
  return series;
}

}  // namespace

Spread rate_of(const Spread& seconds, double work) {
  return {.median = work / seconds.median, .low = work / seconds.high, .high = work / seconds.low};
}

Figure strong_scaling_figure(const std::vector<ScalingPoint>& points, const std::optional<Amdahl>& law) {
  const int most = points.back().count;
  Figure figure;
  figure.charts.push_back({.title = "Iterations per second",
                           .x = counts("threads", most),
                           .y = {.label = "iterations", .unit = "1/s", .low = 0},
                           .series = {measured(points, 1), ideal(points.front(), most, 1)}});
  if (!law) return figure;
  figure.charts[0].series.push_back(predicted(*law, most, 1));
  const double one = 1 / law->seconds_one;
  const int beyond = kBeyond * most;
  figure.charts.push_back(
      {.title = fmt::format("Speed-up, with {:.1f} % of the work serial (Amdahl's law)", 100 * law->serial_fraction),
       .x = counts("threads", beyond),
       .y = {.label = "times as fast as the law's one thread", .low = 0},
       .series = {measured(points, one),
                  {.name = "ideal",
                   .x = {1.0, static_cast<double>(beyond)},
                   .y = {1.0, static_cast<double>(beyond)},
                   .line = Line::dashed,
                   .color = 4},
                  predicted(*law, beyond, one)}});
  return figure;
}

Figure weak_scaling_figure(const std::vector<ScalingPoint>& points) {
  const int most = points.back().count;
  Figure figure;
  constexpr double kMega = 1e6;
  figure.charts.push_back({.title = "An image that grows with the threads",
                           .x = counts("threads", most),
                           .y = {.label = "pixels, millions", .unit = "1/s", .low = 0},
                           .series = {measured(points, kMega), ideal(points.front(), most, kMega)}});
  return figure;
}

Figure throughput_figure(const std::vector<ScalingPoint>& points) {
  Figure figure;
  figure.charts.push_back({.title = "The CPUs divided among fits side by side",
                           .x = counts("fits at the same time", points.back().count),
                           .y = {.label = "images", .unit = "1/h", .low = 0},
                           .series = {measured(points, 1)}});
  return figure;
}

}  // namespace hourglass::cli
