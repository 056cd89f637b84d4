#include "engine/restore/restore.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numbers>

#include "engine/restore/pixel_psnr.h"
#include "graph/error.h"

namespace hourglass {
namespace {

double rate_at(const RestoreOptions& options, int64_t iteration) {
  const double rate = options.fit.adam.learning_rate;
  if (options.schedule == Schedule::constant) return rate;
  const double done = static_cast<double>(iteration - 1) / static_cast<double>(options.iterations);
  return rate * (1 + std::cos(std::numbers::pi * done)) / 2;
}

void check_original(const Image& original, const Image& sought) {
  if (original.width != sought.width || original.height != sought.height || original.channels != sought.channels) {
    fail("the original is {}x{} with {} channels, the result will be {}x{} with {}", original.width, original.height,
         original.channels, sought.width, sought.height, sought.channels);
  }
}

// Overwrites what the plan computed last: the average is of the fit's own.
std::vector<std::pair<std::string, double>> op_seconds(Plan& plan) {
  std::map<std::string, double> sums;
  plan.run_profiled([&](std::size_t step, double seconds) { sums[plan.steps()[step].op] += seconds; });
  std::vector<std::pair<std::string, double>> ops(sums.begin(), sums.end());
  std::sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return ops;
}

}  // namespace

RestoreResult restore(const Task& task, const NetworkFactory& make, const OpTable& table, const RestoreOptions& options,
                      const std::function<bool(const RestoreStep&)>& on_step) {
  const Image& sought = task.baseline();
  if (options.original) check_original(*options.original, sought);

  Network network = bind_network(make, table, sought);
  GraphBuilder builder(network.graph, table);
  const ValueId loss = task.energy(builder, network.image);
  const Problem problem{network.graph, network.input, network.image, loss};

  RestoreResult result;
  result.canvas_width = network.canvas_width;
  result.canvas_height = network.canvas_height;
  Image average(sought.width, sought.height, sought.channels);
  const auto start = std::chrono::steady_clock::now();
  int finished = 0;
  for (int run = 0; run < options.runs && !result.interrupted; ++run) {
    FitOptions fit_options = options.fit;
    fit_options.seed += static_cast<uint64_t>(run);
    Fit fit(problem, table, fit_options);
    result.memory_bytes = fit.plan().arena_bytes() + fit.plan().persistent_bytes();
    result.reorders = static_cast<std::size_t>(std::count_if(fit.plan().steps().begin(), fit.plan().steps().end(),
                                                             [](const StepInfo& step) { return step.node < 0; }));
    for (int64_t i = 1; i <= options.iterations; ++i) {
      fit.set_learning_rate(rate_at(options, i));
      RestoreStep step;
      step.run = run;
      step.iteration = i;
      step.iterations = options.iterations;
      step.total = result.iterations + 1;
      step.loss = fit.step();
      step.psnr_degraded = task.psnr_degraded(fit.image());
      step.psnr_degraded_average = task.psnr_degraded(fit.average().data());
      if (options.original) {
        step.psnr_original = pixel_psnr(fit.image(), *options.original);
        step.psnr_original_average = pixel_psnr(fit.average().data(), *options.original);
      }
      step.average = fit.average();
      step.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      ++result.iterations;
      result.seconds = step.seconds;
      if (!std::isfinite(step.loss)) {
        fail("the fit diverged at iteration {}: the loss is {}; try a lower --learning-rate", i, step.loss);
      }
      if (!on_step(step)) {
        result.interrupted = i < options.iterations || run + 1 < options.runs;
        break;
      }
    }
    if (options.profile && (result.interrupted || run + 1 == options.runs)) result.op_seconds = op_seconds(fit.plan());
    // A run that was cut short counts only where there is no whole one.
    if (result.interrupted && finished > 0) break;
    ++finished;
    for (std::size_t k = 0; k < average.pixels.size(); ++k) {
      average.pixels[k] += (fit.average()[k] - average.pixels[k]) / static_cast<float>(finished);
    }
  }
  result.finished = task.finish(std::move(average), levels_of(options.bit_depth));
  return result;
}

}  // namespace hourglass
