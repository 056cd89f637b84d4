#include "engine/restore/restore.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numbers>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "engine/restore/energy.h"
#include "graph/error.h"
#include "ops/detail/loop.h"

namespace hourglass {
namespace {

HG_CLONES double squared_distance(const float* a, const float* b, int64_t count) {
  double total = 0;
  constexpr int64_t kChunk = 4096;  // short enough for a float sum
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t end = std::min(count, begin + kChunk);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = begin; i < end; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    total += sum;
  }
  return total;
}

double psnr(const float* a, const Image& b) {
  const auto count = static_cast<int64_t>(b.pixels.size());
  const double mse = squared_distance(a, b.pixels.data(), count) / static_cast<double>(count);
  return mse > 0 ? -10 * std::log10(mse) : std::numeric_limits<double>::infinity();
}

double rate_at(const RestoreOptions& options, int64_t iteration) {
  const double rate = options.fit.adam.learning_rate;
  if (options.schedule == Schedule::constant) return rate;
  const double done = static_cast<double>(iteration - 1) / static_cast<double>(options.iterations);
  return rate * (1 + std::cos(std::numbers::pi * done)) / 2;
}

}  // namespace

RestoreInput load_input(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  RestoreInput input{.degraded = decode_image(bytes, path), .jpeg = {}};
  if (input.degraded.format == ImageFormat::jpeg) {
    try {
      input.jpeg = read_jpeg_coefficients(bytes);
    } catch (const Error& error) {
      throw error.within(path);
    }
  }
  return input;
}

RestoreResult restore(const RestoreInput& input, const NetworkFactory& make, const OpTable& table,
                      const RestoreOptions& options, const std::function<bool(const RestoreStep&)>& on_step) {
  const Image& degraded = input.degraded.image;
  if (options.original && (options.original->width != degraded.width || options.original->height != degraded.height ||
                           options.original->channels != degraded.channels)) {
    fail("the original is {}x{} with {} channels, the degraded image {}x{} with {}", options.original->width,
         options.original->height, options.original->channels, degraded.width, degraded.height, degraded.channels);
  }
  std::optional<JpegModel> model;
  if (input.jpeg) model.emplace(*input.jpeg);
  if (options.energy == EnergyKind::cell && !model) fail("the cell energy needs a JPEG: only its file states cells");

  Network network = bind_network(make, table, degraded);
  GraphBuilder builder(network.graph, table);
  const ValueId loss = options.energy == EnergyKind::cell
                           ? cell_energy(builder, network.image, *model, options.half_width)
                           : mse_energy(builder, network.image, degraded);
  const Problem problem{network.graph, network.input, network.image, loss};

  RestoreResult result;
  result.canvas_width = network.canvas_width;
  result.canvas_height = network.canvas_height;
  Image average(degraded.width, degraded.height, degraded.channels);
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
      step.loss = fit.step();
      step.psnr_degraded = psnr(fit.image(), degraded);
      step.psnr_degraded_average = psnr(fit.average().data(), degraded);
      if (options.original) {
        step.psnr_original = psnr(fit.image(), *options.original);
        step.psnr_original_average = psnr(fit.average().data(), *options.original);
      }
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
    // A run that was cut short counts only where there is no whole one.
    if (result.interrupted && finished > 0) break;
    ++finished;
    for (std::size_t k = 0; k < average.pixels.size(); ++k) {
      average.pixels[k] += (fit.average()[k] - average.pixels[k]) / static_cast<float>(finished);
    }
  }

  const int levels = options.bit_depth == 16 ? 65535 : 255;
  if (model && options.use_cells) {
    const Image posterior = to_posterior_mean(average, *model, options.sigma_factor);
    result.cells_exact = check_cells(to_consistent(posterior, *model, 0), *model).share();
    result.image = to_consistent(posterior, *model, levels);
    result.cells_rounded = check_cells(result.image, *model).share();
  } else {
    result.image = std::move(average);
    clamp(result.image);
    for (float& value : result.image.pixels) {
      value = std::round(value * static_cast<float>(levels)) / static_cast<float>(levels);
    }
  }
  return result;
}

}  // namespace hourglass
