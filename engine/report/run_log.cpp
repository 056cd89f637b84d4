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
  iteration.push_back(static_cast<double>(step.total));
  loss.push_back(step.loss);
  degraded.push_back(step.psnr_degraded_average);
  if (step.psnr_original_average) original.push_back(*step.psnr_original_average);
  if (step.is_best) kept = step.total;
}

void RunLog::save(Archive& archive) const {
  archive.put("iteration", iteration);
  archive.put("loss", loss);
  archive.put("degraded", degraded);
  archive.put("original", original);
  archive.put("kept", kept);
}

void RunLog::load(const Archive& archive) {
  iteration = archive.numbers("iteration");
  loss = archive.numbers("loss");
  degraded = archive.numbers("degraded");
  original = archive.numbers("original");
  kept = archive.integer("kept");
  const std::size_t count = iteration.size();
  if (loss.size() != count || degraded.size() != count || (!original.empty() && original.size() != count)) {
    fail("its log of the iterations does not add up");
  }
}

std::optional<int64_t> RunLog::best() const {
  if (original.empty()) return {};
  return std::max_element(original.begin(), original.end()) - original.begin() + 1;
}

Figure trend_figure(const RunLog& log, const std::string& title, const std::string& note) {
  Figure figure{.title = title, .note = note};
  const Axis iterations{.label = "iteration", .low = 0};
  std::vector<Rule> stop;
  if (log.kept > 0) stop.push_back({.of = Rule::Of::x, .value = static_cast<double>(log.kept), .label = "stop"});
  figure.charts.push_back({.title = "Loss",
                           .x = iterations,
                           .y = {.label = "energy", .unit = "1 = white", .scale = ScaleKind::log},
                           .series = {{.x = log.iteration, .y = log.loss, .color = 3}},
                           .rules = stop,
                           .height = 260});
  Chart psnr{.title = "PSNR of the network's average",
             .x = iterations,
             .y = {.label = "PSNR", .unit = "dB"},
             .series = {{.name = "to the input", .x = log.iteration, .y = log.degraded}},
             .rules = stop};
  if (!log.original.empty()) {
    psnr.series.push_back({.name = "to the original", .x = log.iteration, .y = log.original});
    const int64_t best = *log.best();
    psnr.marks.push_back({.x = static_cast<double>(best),
                          .y = log.original[index_of(best)],
                          .label = fmt::format("best {:.2f} dB", log.original[index_of(best)])});
  }
  figure.charts.push_back(psnr);
  return figure;
}

Figure path_figure(const RunLog& log, const std::string& title, const std::string& note, double degraded_psnr) {
  Figure figure{.title = title, .note = note};
  std::vector<double> x, y;
  for (std::size_t i = 0; i < log.original.size(); ++i) {
    x.push_back(rms_255(log.degraded[i]));
    y.push_back(rms_255(log.original[i]));
  }
  if (x.empty()) return figure;
  const auto last = static_cast<int64_t>(x.size());
  const int64_t stop = log.kept > 0 ? log.kept : last, best = *log.best();
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
