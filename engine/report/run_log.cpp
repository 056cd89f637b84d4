#include "engine/report/run_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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

Figure trend_figure(const RunLog& log, const std::string& title, const std::string& note) {
  Figure figure{.title = title, .note = note};
  const Axis iterations{.label = "iteration", .low = 0};
  Chart loss{.title = "Loss",
             .x = iterations,
             .y = {.label = "energy", .unit = "1 = white", .scale = ScaleKind::log},
             .height = 260};
  Chart psnr{
      .title = "PSNR of the network's average", .x = iterations, .y = {.label = "PSNR", .unit = "dB"}, .series = {}};
  // One name for the lines of all runs.
  const auto name = [&](const RunCourse& run, const char* text) { return &run == &log.runs.front() ? text : ""; };
  constexpr int kLossColor = 3;
  for (const RunCourse& run : log.runs) {
    loss.series.push_back({.x = run.iteration, .y = run.loss, .color = kLossColor});
    psnr.series.push_back({.name = name(run, "to the input"), .x = run.iteration, .y = run.degraded, .color = 0});
    if (run.original.empty()) continue;
    psnr.series.push_back({.name = name(run, "to the original"), .x = run.iteration, .y = run.original, .color = 1});
  }
  if (log.runs.size() == 1) {
    const RunCourse& run = log.runs.front();
    if (run.kept > 0) {
      const Rule stop{.of = Rule::Of::x, .value = static_cast<double>(run.kept), .label = "stop"};
      loss.rules.push_back(stop);
      psnr.rules.push_back(stop);
    }
    if (const std::optional<int64_t> best = run.best()) {
      const double value = run.original[index_of(*best)];
      psnr.marks.push_back(
          {.x = static_cast<double>(*best), .y = value, .label = fmt::format("best {:.2f} dB", value)});
    }
  }
  figure.charts = {std::move(loss), std::move(psnr)};
  return figure;
}

Figure path_figure(const RunLog& log, const std::string& title, const std::string& note, double degraded_psnr) {
  Figure figure{.title = title, .note = note};
  if (log.runs.empty() || log.runs.front().original.empty()) return figure;
  const RunCourse& run = log.runs.front();
  std::vector<double> x, y;
  for (std::size_t i = 0; i < run.original.size(); ++i) {
    x.push_back(rms_255(run.degraded[i]));
    y.push_back(rms_255(run.original[i]));
  }
  const auto last = static_cast<int64_t>(x.size());
  const int64_t stop = run.kept > 0 ? run.kept : last, best = *run.best();
  const auto mark = [&](int64_t iteration, const std::string& label) {
    return Mark{.x = x[index_of(iteration)], .y = y[index_of(iteration)], .label = label};
  };
  const Rule degraded{.of = Rule::Of::y, .value = rms_255(degraded_psnr), .label = "the degraded image itself"};
  const Axis to_degraded{.label = "distance to the degraded image", .unit = "rms, grey levels"};
  const Axis to_original{.label = "distance to the original", .unit = "rms, grey levels"};

  Chart whole{.title = "From noise", .x = to_degraded, .y = to_original, .rules = {degraded}, .height = 380};
  whole.x.scale = whole.y.scale = ScaleKind::log;
  whole.series.push_back({.x = x, .y = y});
  whole.marks = {mark(1, "start"), mark(stop, best == stop ? "stop, best" : "stop")};
  if (best != stop) whole.marks.push_back(mark(best, "best"));
  figure.charts.push_back(whole);

  // All that comes after it is first about as near to the original as it ever gets.
  constexpr double kNear = 1.3;
  const auto near = std::find_if(y.begin(), y.end(), [&](double d) { return d <= kNear * y[index_of(best)]; });
  const auto first = near - y.begin();
  Chart close{.title = "Near the original", .x = to_degraded, .y = to_original, .rules = {degraded}, .height = 380};
  close.series.push_back({.x = {x.begin() + first, x.end()}, .y = {y.begin() + first, y.end()}});
  if (stop > first) close.marks.push_back(mark(stop, fmt::format("stop: iteration {}", stop)));
  if (best != stop) close.marks.push_back(mark(best, fmt::format("best: iteration {}", best)));
  figure.charts.push_back(std::move(close));
  return figure;
}

}  // namespace hourglass
