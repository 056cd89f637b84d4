// How much the stopping rules lose: PSNR where each stops, against the best PSNR of the whole run.
//
//   build/release/bench/stopping FOLDER --csv stopping.csv      # measures what the CSV does not have yet
//   build/release/bench/stopping --csv stopping.csv --table     # the CSV as Markdown
//
// For every image of the folder (its middle, in gray unless --color) and every degradation one fit runs to the end; all
// rules watch it, and what each would have kept is measured afterwards. The original is known to this program alone.
// q10 is a JPEG of quality 10, restored as `hourglass restore` does and measured after the cells; s25 is Gaussian noise
// of 25 grey levels, fitted with plain MSE.
#include <CLI/CLI.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <numbers>
#include <sstream>

#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/consistency.h"
#include "engine/restore/degrade.h"
#include "engine/restore/denoise_task.h"
#include "engine/restore/jpeg_task.h"
#include "engine/restore/network.h"
#include "engine/runtime/precision.h"
#include "engine/train/fit.h"
#include "graph/error.h"
#include "models/builtin.h"
#include "ops/table.h"

using namespace hourglass;

namespace {

struct Arguments {
  std::string folder, csv, model = "small", schedule = "cosine";
  std::vector<std::string> degradations{"q10", "q20", "q40", "s15", "s25", "s50"};
  int64_t iterations = 1000, crop = 256;
  double input_noise = 0;
  int threads = 0;
  bool color = false, table = false;
};

// A degraded image and how to restore it.
struct Case {
  Image original;
  RestoreInput input;
};

Case degrade(const Image& original, const std::string& how) {
  const double amount = std::stod(how.substr(1));
  Case problem{.original = original, .input = {}};
  if (how[0] == 'q') {
    const std::vector<uint8_t> bytes = encode_jpeg(original, {.quality = static_cast<int>(amount)});
    problem.input = {.degraded = decode_image(bytes, how), .jpeg = read_jpeg_coefficients(bytes), .first = {}};
    return problem;
  }
  Image noisy = add_noise(original, amount, 1);
  for (float& value : noisy.pixels) value = static_cast<float>(to_byte(value)) / 255.0F;
  problem.input.degraded.image = std::move(noisy);
  problem.input.degraded.format = ImageFormat::png;
  return problem;
}

// What a result made of this average is worth.
class Judge {
 public:
  explicit Judge(const Case& problem) : original_(problem.original) {
    if (problem.input.jpeg) model_.emplace(*problem.input.jpeg);
  }
  [[nodiscard]] double operator()(const std::vector<float>& average) const {
    Image image = original_;
    image.pixels = average;
    if (model_) image = to_posterior_mean(image, *model_);
    clamp(image);
    return psnr(image, original_);
  }

 private:
  const Image& original_;
  std::optional<JpegModel> model_;
};

struct Watcher {
  std::string name;
  std::unique_ptr<StoppingRule> rule;
  std::vector<float> kept;
  int64_t kept_at = 0, stopped_at = 0;
};

std::vector<Watcher> watchers(const Task& task, int64_t iterations) {
  std::vector<Watcher> all;
  const auto add = [&](const char* name, const StoppingOptions& options) {
    all.push_back({.name = name, .rule = make_stopping_rule(options), .kept = {}});
  };
  add("none", {.kind = StoppingKind::none});
  add("half", {.kind = StoppingKind::fixed, .iteration = iterations / 2});
  add("wmv", {.kind = StoppingKind::wmv});
  add("emv", {.kind = StoppingKind::emv});
  if (const Discrepancy discrepancy = task.discrepancy()) {
    add("discrepancy", {.kind = StoppingKind::discrepancy, .discrepancy = discrepancy});
  }
  return all;
}

// The rows of one image and degradation.
std::string measure(const Arguments& a, const std::string& key, const Case& problem) {
  const std::unique_ptr<Task> task =
      problem.input.jpeg ? make_jpeg_task(problem.input, {}) : make_denoise_task(problem.input.degraded.image);
  const Image& sought = task->baseline();
  Network network = bind_network(
      [&](int64_t height, int64_t width) {
        return make_builtin(a.model, {.output_channels = sought.channels, .height = height, .width = width});
      },
      op_table(), sought);
  GraphBuilder builder(network.graph, op_table());
  const ValueId loss = task->energy(builder, network.image);
  FitOptions options;
  options.threads = a.threads;
  options.input_noise = a.input_noise;
  options.precision = has_native_bf16() ? Precision::bf16 : Precision::f32;
  Fit fit({network.graph, network.input, network.image, loss}, op_table(), options);

  std::vector<Watcher> all = watchers(*task, a.iterations);
  const Judge judge(problem);
  double best = 0;
  int64_t best_at = 0;
  for (int64_t i = 1; i <= a.iterations; ++i) {
    const double done = static_cast<double>(i - 1) / static_cast<double>(a.iterations);
    const double share = a.schedule == "cosine" ? (1 + std::cos(std::numbers::pi * done)) / 2 : 1;
    fit.set_learning_rate(options.adam.learning_rate * share);
    const double value = fit.step();
    for (Watcher& watcher : all) {
      if (watcher.stopped_at > 0) continue;
      const StoppingVerdict verdict = watcher.rule->observe(
          {.iteration = i, .loss = value, .iterate = {fit.image(), fit.average().size()}, .average = fit.average()});
      if (verdict.is_best) {
        watcher.kept = fit.average();
        watcher.kept_at = i;
      }
      if (verdict.stop || i == a.iterations) watcher.stopped_at = i;
    }
    constexpr int64_t kEvery = 10;
    if (i % kEvery != 0) continue;
    if (const double now = judge(fit.average()); now > best) {
      best = now;
      best_at = i;
    }
  }
  std::string rows;
  for (const Watcher& watcher : all) {
    const double kept = watcher.kept.empty() ? judge(fit.average()) : judge(watcher.kept);
    rows += fmt::format("{},{},{:.4f},{:.4f},{},{},{:.4f},{}\n", key, watcher.name, psnr(sought, problem.original),
                        kept, watcher.kept_at, watcher.stopped_at, best, best_at);
  }
  return rows;
}

constexpr const char* kColumns =
    "model,schedule,iterations,image,degradation,rule,psnr_degraded,psnr_stop,kept_at,stopped_at,psnr_best,best_at\n";

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void measure_all(const Arguments& a) {
  std::string known = read_text(a.csv);
  std::ofstream csv(a.csv, std::ios::app);
  if (known.empty()) csv << kColumns << std::flush;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(a.folder)) {
    if (entry.path().extension() == ".png") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    Image image = read_image(file.string()).image;
    if (!a.color) image = to_gray(image);
    const int64_t width = std::min(a.crop, image.width), height = std::min(a.crop, image.height);
    image = crop(image, (image.width - width) / 2, (image.height - height) / 2, width, height);
    for (float& value : image.pixels) value = static_cast<float>(to_byte(value)) / 255.0F;
    for (const std::string& how : a.degradations) {
      const std::string key =
          fmt::format("{},{},{},{},{}", a.model, a.schedule, a.iterations, file.stem().string(), how);
      if (known.find("\n" + key + ",") != std::string::npos) continue;
      csv << measure(a, key, degrade(image, how)) << std::flush;
      fmt::print(stderr, "{}\n", key);
    }
  }
}

struct Sums {
  int64_t count = 0;
  double gap = 0, worst = 0, gain = 0, stopped = 0;
};

// Mean over the images, for each schedule, degradation and rule.
void print_table(const Arguments& a) {
  std::map<std::string, Sums> groups;
  std::istringstream lines(read_text(a.csv));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
    if (cells.size() != 12) fail("{}: '{}' is no row of this table", a.csv, line);
    Sums& sums = groups[fmt::format("{} | {} {} | {} | {}", cells[0], cells[1], cells[2], cells[4], cells[5])];
    const double stop = std::stod(cells[7]), gap = std::max(0.0, std::stod(cells[10]) - stop);
    ++sums.count;
    sums.gap += gap;
    sums.worst = std::max(sums.worst, gap);
    sums.gain += stop - std::stod(cells[6]);
    sums.stopped += std::stod(cells[9]);
  }
  fmt::print(
      "| network | schedule | degradation | rule | images | mean gain, dB | mean gap | worst gap | iterations |\n");
  fmt::print("|---|---|---|---|---|---|---|---|---|\n");
  for (const auto& [name, sums] : groups) {
    const auto n = static_cast<double>(sums.count);
    fmt::print("| {} | {} | {:+.2f} | {:.3f} | {:.3f} | {:.0f} |\n", name, sums.count, sums.gain / n, sums.gap / n,
               sums.worst, sums.stopped / n);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("What the stopping rules lose against the best iteration of a run.");
  app.add_option("folder", a.folder, "PNG files to degrade and restore");
  app.add_option("--csv", a.csv, "Results; rows that are there are not measured again")->required();
  app.add_flag("--table", a.table, "Print the CSV as Markdown instead");
  app.add_option("--model", a.model, "A built-in network")->capture_default_str();
  app.add_option("--schedule", a.schedule)->check(CLI::IsMember({"constant", "cosine"}))->capture_default_str();
  app.add_option("--iterations", a.iterations)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--crop", a.crop, "Side of the middle part that is used")->capture_default_str();
  app.add_option("--input-noise", a.input_noise)->capture_default_str();
  app.add_option("--threads", a.threads)->capture_default_str();
  app.add_option("--degradations", a.degradations, "qN: JPEG of quality N; sN: noise of N grey levels")->delimiter(',');
  app.add_flag("--color", a.color);
  CLI11_PARSE(app, argc, argv);
  try {
    if (a.table) {
      print_table(a);
    } else {
      measure_all(a);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "stopping: {}\n", error.what());
    return 1;
  }
  return 0;
}
