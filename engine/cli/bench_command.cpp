#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/cli/commands.h"
#include "engine/cli/network_option.h"
#include "engine/cli/size_option.h"
#include "engine/restore/energy.h"
#include "engine/train/fit.h"
#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

struct Arguments {
  std::string model = "small", size = "512x512", precision = "f32";
  int threads = 0;
  int64_t iterations = 5;
  bool json = false, profile = false;
};

std::size_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

// The fit that every iteration benchmark times: the network against a fixed target with plain MSE.
Fit make_fit(const Arguments& a) {
  const ImageSize size = parse_size(a.size);
  const ChosenNetwork chosen = choose_network(a.model, 3);
  Network network = bind_network(chosen.make, op_table(), size.height, size.width);
  GraphBuilder builder(network.graph, op_table());
  Image target(size.width, size.height, static_cast<int>(network.graph.shape(network.image)[1]));
  for (std::size_t i = 0; i < target.pixels.size(); ++i) target.pixels[i] = static_cast<float>(i * 7919 % 256) / 255.0F;
  const ValueId loss = mse_energy(builder, network.image, target);
  FitOptions options;
  options.threads = a.threads;
  options.precision = choose_precision(a.precision);
  return {{network.graph, network.input, network.image, loss}, op_table(), options};
}

// Where one iteration goes, by op; the mean of the runs.
void print_profile(Fit& fit, int64_t iterations) {
  struct Row {
    double seconds = 0;
    int count = 0;
  };
  Plan& plan = fit.plan();
  std::vector<double> seconds(plan.steps().size(), 0);
  for (int64_t i = 0; i < iterations; ++i) {
    plan.run_profiled([&](std::size_t step, double s) { seconds[step] += s / static_cast<double>(iterations); });
  }
  std::map<std::string, Row> by_op;
  double total = 0;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    Row& row = by_op[plan.steps()[i].op];
    row.seconds += seconds[i];
    ++row.count;
    total += seconds[i];
    fmt::print("{:8.3f} ms  {:24} {:26} {:34} {}\n", seconds[i] * 1e3, plan.steps()[i].op,
               plan.steps()[i].implementation, plan.steps()[i].layout, plan.steps()[i].name);
  }
  std::vector<std::pair<std::string, Row>> rows(by_op.begin(), by_op.end());
  std::sort(rows.begin(), rows.end(), [](const auto& x, const auto& y) { return x.second.seconds > y.second.seconds; });
  fmt::print("\n");
  for (const auto& [op, row] : rows) {
    fmt::print("{:8.2f} ms {:5.1f} % {:4} x {}\n", row.seconds * 1e3, 100 * row.seconds / total, row.count, op);
  }
  fmt::print("{:8.2f} ms in {} steps\n", total * 1e3, seconds.size());
}

ExitCode run(const Arguments& a) {
  Fit fit = make_fit(a);
  std::vector<double> seconds;
  fit.step();  // warm-up: first touch of all memory
  for (int64_t i = 0; i < a.iterations; ++i) {
    const auto start = std::chrono::steady_clock::now();
    fit.step();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  if (a.json) {
    nlohmann::ordered_json json;
    json["model"] = a.model;
    json["size"] = a.size;
    json["threads"] = fit.plan().threads();
    json["precision"] = a.precision;
    json["seconds"] = seconds;
    json["arena_bytes"] = fit.plan().arena_bytes();
    json["persistent_bytes"] = fit.plan().persistent_bytes();
    json["peak_rss_bytes"] = peak_rss_bytes();
    fmt::print("{}\n", json.dump());
    return ExitCode::ok;
  }
  std::vector<double> sorted = seconds;
  std::sort(sorted.begin(), sorted.end());
  fmt::print(
      "{} {} on {} threads: {:.2f} ms per iteration (median of {}, {:.2f} to {:.2f}), {:.1f} MiB planned, {:.1f} MiB "
      "peak\n",
      a.model, a.size, fit.plan().threads(), sorted[sorted.size() / 2] * 1e3, sorted.size(), sorted.front() * 1e3,
      sorted.back() * 1e3, static_cast<double>(fit.plan().arena_bytes() + fit.plan().persistent_bytes()) / (1 << 20),
      static_cast<double>(peak_rss_bytes()) / (1 << 20));
  if (a.profile) print_profile(fit, a.iterations);
  return ExitCode::ok;
}

}  // namespace

void add_bench_command(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  CLI::App* bench = app.add_subcommand("bench", "Measure this machine");
  bench->require_subcommand(1);
  CLI::App* iteration =
      bench->add_subcommand("iteration", "Time whole iterations: noise, forward, energy, backward, Adam");
  iteration->add_option("--model", a.model, "small, medium, standard, unet, or an ONNX file")->capture_default_str();
  iteration->add_option("--size", a.size, "Width x height")->capture_default_str();
  iteration->add_option("--threads", a.threads, "0: all CPUs this process may use")->capture_default_str();
  iteration->add_option("--iterations", a.iterations, "How many to time, after one to warm up")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}))
      ->capture_default_str();
  iteration->add_option("--precision", a.precision, "auto, f32 or bf16")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str();
  iteration->add_flag("--profile", a.profile, "Also say where the time goes, step by step and by op");
  iteration->add_flag("--json", a.json, "One JSON object on stdout");
  iteration->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace hourglass::cli
