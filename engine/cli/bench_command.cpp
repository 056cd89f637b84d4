#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <memory>

#include "engine/cli/bench_fit.h"
#include "engine/cli/command_text.h"
#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/cli/profile.h"
#include "engine/measure/machine.h"
#include "engine/measure/statistics.h"
#include "engine/measure/steps.h"
#include "engine/runtime/waiting.h"

namespace hourglass::cli {
namespace {

struct BenchArguments {
  BenchNetwork network;
  int threads = 0;
  int64_t iterations = 5;
  bool json = false, profile = false;
};

// VmHWM: what getrusage() knows also counts the memory of the process that started this one.
std::size_t peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

void print_profile(Fit& fit, int64_t iterations) {
  const Profile profile = profile_iterations(fit, iterations);
  OpTimes times;
  for (const StepProfile& step : profile.steps) {
    times.add(step.info.op, step.seconds.median);
    fmt::print("{:8.3f} ms  {:32} {:50} {:34} {}\n", step.seconds.median * 1e3, step.info.op, step.info.implementation,
               step.info.layout, step.info.name);
  }
  fmt::print("\n{}\n", times.table());
}

ExitCode run(const BenchArguments& a) {
  const std::unique_ptr<Fit> fit = make_bench_fit(a.network, parse_size(a.network.size), a.threads);
  const AdaptiveWaiting waiting(fit->plan().threads());
  std::vector<double> seconds;
  fit->step();  // warm-up: first touch of all memory
  for (int64_t i = 0; i < a.iterations; ++i) {
    const auto start = std::chrono::steady_clock::now();
    fit->step();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const Plan& plan = fit->plan();
  if (a.json) {
    Json json;
    json["model"] = a.network.model;
    json["size"] = a.network.size;
    json["threads"] = plan.threads();
    json["precision"] = precision_name(a.network);
    const Machine machine = this_machine();
    json["machine"] = Json{{"cpu", machine.cpu},
                           {"cpus_available", machine.available},
                           {"isa", machine.isa},
                           {"onednn", machine.onednn},
                           {"openmp", machine.openmp}};
    json["seconds"] = seconds;
    json["arena_bytes"] = plan.arena_bytes();
    json["persistent_bytes"] = plan.persistent_bytes();
    json["peak_rss_bytes"] = peak_rss_bytes();
    fmt::print("{}\n", result_object(json).text());
    return ExitCode::ok;
  }
  const Spread spread = spread_of(seconds);
  fmt::print(
      "{} {} {} on {}: {:.2f} ms per iteration (median of {}, quartiles {:.2f} to {:.2f}), {:.1f} MiB planned, "
      "{:.1f} MiB peak\n",
      a.network.model, a.network.size, precision_name(a.network), counted(plan.threads(), "thread"),
      spread.median * 1e3, seconds.size(), spread.low * 1e3, spread.high * 1e3,
      static_cast<double>(plan.arena_bytes() + plan.persistent_bytes()) / (1 << 20),
      static_cast<double>(peak_rss_bytes()) / (1 << 20));
  if (a.profile) print_profile(*fit, a.iterations);
  return ExitCode::ok;
}

}  // namespace

Command bench_iteration_command() {
  const auto arguments = std::make_shared<BenchArguments>();
  BenchArguments& a = *arguments;
  Command command{.name = "iteration", .help = "Time whole iterations: noise, forward, energy, backward, Adam"};
  add_network_options(command, a.network);
  command.add(
      {{.names = "--threads",
        .target = &a.threads,
        .help = "How many; 0: as OMP_NUM_THREADS says, else all CPUs that this process may use",
        .checks = {range(0, 4096)}},
       {.names = "--iterations",
        .target = &a.iterations,
        .help = "How many to time, after one to warm up",
        .checks = {range(1, 1000000)}},
       {.names = "--profile", .target = &a.profile, .help = "Also say where the time goes, step by step and by op"},
       {.names = "--json", .target = &a.json, .help = "One JSON object on stdout"}});
  command.run = [arguments](ParsedCommand&) { return run(*arguments); };
  return command;
}

Command bench_command() {
  return {.name = "bench",
          .help = "Measure this machine",
          .commands = {bench_machine_command(), bench_iteration_command(), bench_threads_command(), bench_ops_command(),
                       bench_compare_command()}};
}

}  // namespace hourglass::cli
