#include "engine/cli/scaling_figure.h"

#include <fmt/core.h>

#include <algorithm>

namespace hourglass::cli {
namespace {

// As far beyond the measured threads as the laws are followed.
constexpr int kBeyond = 4;
constexpr int kMeasured = 0, kAmdahl = 1, kUniversal = 2, kMemory = 3, kIdeal = 4, kMultiplications = 5;  // colours

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

Series measured(const std::vector<FigurePoint>& points, double unit) {
  Series series{.name = "measured", .dots = true, .color = kMeasured};
  for (const FigurePoint& point : points) {
    series.x.push_back(point.count);
    series.y.push_back(point.rate.value / unit);
    // What is not known has no bar.
    series.low.push_back((point.rate.known() ? point.rate.low : point.rate.value) / unit);
    series.high.push_back((point.rate.known() ? point.rate.high : point.rate.value) / unit);
  }
  return series;
}

// Each round as a short stroke, beside the interval so that neither hides the other.
Series single_rounds(const std::vector<FigurePoint>& points, double unit) {
  Series series{.line = Line::none, .dots = true, .small = true, .color = kIdeal};
  const double beside = 0.012 * points.back().count;
  for (const FigurePoint& point : points) {
    for (const double rate : point.rounds) {
      series.x.push_back(point.count + beside);
      series.y.push_back(rate / unit);
    }
  }
  return series;
}

// Each thread as fast as those of the first point.
Series ideal(const FigurePoint& first, int most, double unit) {
  const double per_thread = first.rate.value / first.count / unit;
  return {.name = "ideal",
          .x = {1.0, static_cast<double>(most)},
          .y = {per_thread, per_thread * most},
          .line = Line::dashed,
          .color = kIdeal};
}

Series law_series(const std::string& name, const Law& law, int most, double unit, int color) {
  Series series{.name = name, .line = Line::dotted, .color = color};
  constexpr int kPoints = 100;
  for (int i = 0; i <= kPoints; ++i) {
    const double threads = 1 + (most - 1.0) * i / kPoints;
    series.x.push_back(threads);
    series.y.push_back(1 / law.seconds(threads) / unit);
  }
  return series;
}

void add_laws(Chart& chart, const LawChoice& laws, int most, double unit) {
  if (laws.preferred() == nullptr) return;
  chart.series.push_back(law_series("Amdahl", laws.amdahl.law, most, unit, kAmdahl));
  if (laws.universal && laws.universal->law.coherence > 0) {
    chart.series.push_back(law_series("Universal", laws.universal->law, most, unit, kUniversal));
  }
}

template <class Part>
Series ceiling(const std::vector<FigurePoint>& points, const std::string& name, int color, const Part& part) {
  Series series{.name = name, .line = Line::solid, .dots = true, .small = true, .color = color};
  for (const FigurePoint& point : points) {
    series.x.push_back(point.count);
    series.y.push_back(part(point.ceiling) / part(points.front().ceiling));
  }
  return series;
}

std::string law_title(const LawChoice& laws) {
  const FittedLaw* fitted = laws.preferred();
  if (fitted == nullptr) return "Speed-up: no law describes what was seen";
  const Interval& serial = fitted->serial;
  const std::string ends =
      serial.known() ? fmt::format(" ({:.1f} to {:.1f})", 100 * serial.low, 100 * serial.high) : std::string();
  return fmt::format("Speed-up, with {:.1f} %{} of the work serial", 100 * serial.value, ends);
}

// What the bars are, in a title.
std::string how_sure(const std::vector<FigurePoint>& points) {
  const std::size_t rounds = points.front().rounds.size();
  if (rounds == 1) return ": one round";
  return rounds < kLeastForInterval ? fmt::format(": {} rounds, from the least to the most", rounds)
                                    : ": medians, 95 % intervals, rounds in grey";
}

}  // namespace

FigurePoint figure_point(const ScalingPoint& point, double work) {
  const Interval& seconds = point.seconds;
  FigurePoint figure{
      .count = point.threads, .rate = unknown_interval(work / seconds.value), .rounds = {}, .ceiling = point.ceiling};
  if (seconds.known()) figure.rate.low = work / seconds.high, figure.rate.high = work / seconds.low;
  for (const double seconds : point.rounds) figure.rounds.push_back(work / seconds);
  return figure;
}

Figure strong_scaling_figure(const std::vector<FigurePoint>& points, const std::optional<LawChoice>& laws) {
  const int most = points.back().count;
  Figure figure;
  figure.charts.push_back({.title = fmt::format("Iterations per second{}", how_sure(points)),
                           .x = counts("threads", most),
                           .y = {.label = "iterations", .unit = "1/s", .low = 0},
                           .series = {single_rounds(points, 1), ideal(points.front(), most, 1), measured(points, 1)}});
  if (!laws) return figure;
  add_laws(figure.charts[0], *laws, most, 1);
  const double one = points.front().rate.value;
  Chart speed{
      .title = law_title(*laws),
      .x = counts("threads", laws->preferred() == nullptr ? most : kBeyond * most),
      .y = {.label = fmt::format("times {} thread{}", points.front().count, points.front().count == 1 ? "" : "s"),
            .low = 0},
      .series = {ideal(points.front(), most, one),
                 ceiling(points, "multiplications", kMultiplications, [](const Ceiling& at) { return at.gflops; }),
                 ceiling(points, "memory", kMemory, [](const Ceiling& at) { return at.gbytes; }),
                 measured(points, one)}};
  add_laws(speed, *laws, laws->preferred() == nullptr ? most : kBeyond * most, one);
  figure.charts.push_back(std::move(speed));
  return figure;
}

Figure weak_scaling_figure(const std::vector<FigurePoint>& points) {
  const int most = points.back().count;
  Figure figure;
  constexpr double kMega = 1e6;
  figure.charts.push_back(
      {.title = fmt::format("An image that grows with the threads{}", how_sure(points)),
       .x = counts("threads", most),
       .y = {.label = "pixels, millions", .unit = "1/s", .low = 0},
       .series = {single_rounds(points, kMega), ideal(points.front(), most, kMega), measured(points, kMega)}});
  return figure;
}

Figure throughput_figure(const std::vector<FigurePoint>& points) {
  Figure figure;
  figure.charts.push_back({.title = fmt::format("The CPUs divided among fits side by side{}", how_sure(points)),
                           .x = counts("fits at the same time", points.back().count),
                           .y = {.label = "images", .unit = "1/h", .low = 0},
                           .series = {single_rounds(points, 1), measured(points, 1)}});
  return figure;
}

Figure memory_figure(const std::vector<FigurePoint>& points, double limit) {
  Series planned{.name = "planned", .dots = true, .color = kMeasured};
  for (const FigurePoint& point : points) {
    planned.x.push_back(point.x);
    planned.y.push_back(point.rate.value);
  }
  Figure figure;
  figure.charts.push_back({.title = "Memory of a fit",
                           .x = {.label = "megapixels", .low = 0},
                           .y = {.label = "memory", .unit = "MiB", .low = 0},
                           .series = {planned},
                           .rules = {{.of = Rule::Of::y, .value = limit, .label = "to be had"}}});
  return figure;
}

}  // namespace hourglass::cli
