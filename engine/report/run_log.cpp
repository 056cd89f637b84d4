#include "engine/report/run_log.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "engine/image/metrics.h"
#include "graph/error.h"

namespace hourglass {
namespace {

std::size_t index_of(int64_t iteration) { return static_cast<std::size_t>(iteration - 1); }

}  // namespace

double rms_255(double psnr) { return 255 * std::pow(10.0, -psnr / 20); }

void RunLog::add(const RestoreStep& step) {
  const auto run = static_cast<std::size_t>(step.run);
  if (run >= runs.size()) runs.resize(run + 1);
  RunCourse& course = runs[run];
  course.iteration.push_back(static_cast<double>(step.iteration));
  course.loss.push_back(step.loss);
  course.degraded.push_back(step.psnr_degraded_average);
  if (step.psnr_original_average) course.original.push_back(*step.psnr_original_average);
  if (step.is_best) course.kept = step.iteration;
}

void RunLog::save(Archive& archive) const {
  archive.put("runs", static_cast<int64_t>(runs.size()));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Archive one;
    one.put("iteration", runs[i].iteration);
    one.put("loss", runs[i].loss);
    one.put("degraded", runs[i].degraded);
    one.put("original", runs[i].original);
    one.put("kept", runs[i].kept);
    archive.put(fmt::format("{}", i), one);
  }
}

void RunLog::load(const Archive& archive) {
  runs.clear();
  for (int64_t i = 0; i < archive.integer("runs"); ++i) {
    const Archive one = archive.part(fmt::format("{}", i));
    RunCourse& course = runs.emplace_back();
    course.iteration = one.numbers("iteration");
    course.loss = one.numbers("loss");
    course.degraded = one.numbers("degraded");
    course.original = one.numbers("original");
    const std::size_t count = course.iteration.size();
    course.kept = one.integer("kept", 0, static_cast<int64_t>(count));
    if (course.loss.size() != count || course.degraded.size() != count ||
        (!course.original.empty() && course.original.size() != count)) {
      fail("its log of the iterations does not add up");
    }
  }
}

std::optional<int64_t> RunCourse::best() const {
  if (original.empty()) return {};
  return std::max_element(original.begin(), original.end()) - original.begin() + 1;
}

void add_result(RunEnds& ends, const Image& input, const Image& original, const Image& result) {
  ends.ended = true;
  ends.result_psnr = psnr(result, original);
  ends.result_to_input = psnr(result, input);
}

namespace {

// Whether the finished result is a point of its own: the average as it was kept lies where the line ends.
bool is_apart(const RunLog& log, const RunEnds& ends) {
  if (!ends.result_psnr || log.runs.empty() || log.runs.front().original.empty()) return false;
  const RunCourse& run = log.runs.front();
  constexpr double kSame = 0.005;  // dB
  const double kept = run.original[index_of(std::max<int64_t>(run.kept, 1))];
  return log.runs.size() > 1 || std::abs(*ends.result_psnr - kept) > kSame;
}

Chart loss_chart(const Axis& iterations) {
  return {
      .title = "Loss",
      .x = iterations,
      .y = {.label = "mean of squares", .unit = "intensities from 0 to 1, logarithmic scale", .scale = ScaleKind::log},
      .height = 260};
}

}  // namespace

Figure trend_figure(const RunLog& log, const std::string& title, const std::string& note, const RunEnds& ends) {
  Figure figure{.title = title, .note = note};
  const Axis iterations{.label = "iteration", .low = 0};
  Chart loss = loss_chart(iterations);
  Chart psnr{
      .title = "PSNR of the outputs' average", .x = iterations, .y = {.label = "PSNR", .unit = "dB"}, .series = {}};
  // One name for the lines of all runs.
  const auto name = [&](const RunCourse& run, const std::string& text) {
    return &run == &log.runs.front() ? text : std::string();
  };
  constexpr int kLossColor = 3;
  for (const RunCourse& run : log.runs) {
    loss.series.push_back({.x = run.iteration, .y = run.loss, .color = kLossColor});
    // Dashed and on top, it shows where the two are the same.
    if (!run.original.empty()) {
      psnr.series.push_back({.name = name(run, "to the original"), .x = run.iteration, .y = run.original, .color = 1});
    }
    psnr.series.push_back({.name = name(run, "to " + ends.input),
                           .x = run.iteration,
                           .y = run.degraded,
                           .line = run.original.empty() ? Line::solid : Line::dashed,
                           .color = 0});
  }
  if (ends.input_psnr) {
    psnr.rules.push_back({.of = Rule::Of::y,
                          .value = *ends.input_psnr,
                          .label = fmt::format("{} to the original: {:.2f} dB", ends.input, *ends.input_psnr)});
  }
  if (log.runs.size() == 1) {
    const RunCourse& run = log.runs.front();
    if (run.kept > 0 && ends.ended) {
      const Rule stop{.of = Rule::Of::x, .value = static_cast<double>(run.kept), .label = "stop"};
      loss.rules.push_back(stop);
      psnr.rules.push_back(stop);
    }
    if (const std::optional<int64_t> best = run.best()) {
      const double value = run.original[index_of(*best)];
      psnr.marks.push_back(
          {.x = static_cast<double>(*best), .y = value, .label = fmt::format("best average {:.2f} dB", value)});
    }
  }
  if (is_apart(log, ends)) {
    psnr.marks.push_back({.x = log.runs.front().iteration.back(),
                          .y = *ends.result_psnr,
                          .label = fmt::format("{} {:.2f} dB", ends.result, *ends.result_psnr)});
  }
  figure.charts = {std::move(loss), std::move(psnr)};
  return figure;
}

namespace {

// The run's way in the plane of the two distances, in grey levels.
struct Way {
  std::vector<double> to_input, to_original;
  int64_t stop = 0, best = 0;  // iterations
  bool ended = false;

  [[nodiscard]] Mark mark(int64_t iteration, const std::string& label, bool small = false) const {
    return {.x = to_input[index_of(iteration)], .y = to_original[index_of(iteration)], .label = label, .small = small};
  }
};

Way way_of(const RunCourse& run, bool ended) {
  Way way{.to_input = {}, .to_original = {}, .best = *run.best(), .ended = ended};
  for (std::size_t i = 0; i < run.original.size(); ++i) {
    way.to_input.push_back(rms_255(run.degraded[i]));
    way.to_original.push_back(rms_255(run.original[i]));
  }
  const auto last = static_cast<int64_t>(run.original.size());
  way.stop = ended && run.kept > 0 ? run.kept : last;
  return way;
}

// The way from iteration `first` on, counting from 1, with what is marked on it.
Chart way_chart(const Way& way, int64_t first, const RunEnds& ends, bool apart, ScaleKind scale) {
  const std::string suffix = scale == ScaleKind::log ? ", logarithmic scale" : "";
  Chart chart{.x = {.label = "distance to " + ends.input, .unit = "rms, grey levels" + suffix, .scale = scale},
              .y = {.label = "distance to the original", .unit = "rms, grey levels" + suffix, .scale = scale},
              .height = 380};
  chart.x.grid = true;
  const auto from = [&](const std::vector<double>& values) {
    return std::vector<double>(values.begin() + static_cast<std::ptrdiff_t>(index_of(first)), values.end());
  };
  chart.series.push_back({.x = from(way.to_input), .y = from(way.to_original), .arrow = true});
  if (ends.input_psnr) {
    chart.rules.push_back({.of = Rule::Of::y,
                           .value = rms_255(*ends.input_psnr),
                           .label = fmt::format("{} itself: {:.2f} dB", ends.input, *ends.input_psnr)});
  }
  if (first == 1 && way.stop > 1) chart.marks.push_back(way.mark(1, "iteration 1"));
  const std::string stop = way.ended ? "stop" : "now";
  if (way.best == way.stop) {
    chart.marks.push_back(way.mark(way.stop, fmt::format("{} and best, {}", stop, way.stop)));
  } else {
    chart.marks.push_back(way.mark(way.stop, fmt::format("{}, {}", stop, way.stop)));
    if (way.best > first) chart.marks.push_back(way.mark(way.best, fmt::format("best, {}", way.best)));
  }
  if (apart && ends.result_to_input) {
    const double x = rms_255(*ends.result_to_input), y = rms_255(*ends.result_psnr);
    const Mark end = way.mark(way.stop, {});
    chart.series.push_back({.x = {end.x, x}, .y = {end.y, y}, .line = Line::dashed, .color = 1});
    chart.series.back().arrow = true;
    chart.marks.push_back({.x = x, .y = y, .label = fmt::format("{} {:.2f} dB", ends.result, *ends.result_psnr)});
  }
  for (int64_t power = 10; power < way.stop; power *= 10) {
    if (power > first && power != way.best) chart.marks.push_back(way.mark(power, fmt::format("{}", power), true));
  }
  return chart;
}

}  // namespace

Figure path_figure(const RunLog& log, const std::string& title, const std::string& note, const RunEnds& ends) {
  Figure figure{.title = title, .note = note};
  if (log.runs.empty() || log.runs.front().original.empty()) return figure;
  const Way way = way_of(log.runs.front(), ends.ended);
  const bool apart = is_apart(log, ends);
  figure.charts.push_back(way_chart(way, 1, ends, apart, ScaleKind::log));
  figure.charts.back().title = "The whole way, from noise";

  // All that comes after the way is first about as near to the original as it ever gets.
  constexpr double kNear = 1.3;
  const double near = kNear * way.to_original[index_of(way.best)];
  const auto first = std::find_if(way.to_original.begin(), way.to_original.end(), [&](double d) { return d <= near; }) -
                     way.to_original.begin() + 1;
  figure.charts.push_back(way_chart(way, first, ends, apart, ScaleKind::linear));
  figure.charts.back().title = fmt::format("From iteration {} on, enlarged", first);
  return figure;
}

}  // namespace hourglass
