#include <algorithm>
#include <memory>

#include "engine/cli/bench_fit.h"
#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/network_option.h"
#include "engine/cli/output.h"
#include "engine/cli/profile.h"
#include "engine/cli/prose.h"
#include "engine/cli/terminal.h"
#include "engine/image/file.h"
#include "engine/measure/machine.h"
#include "engine/measure/steps.h"

namespace hourglass::cli {
namespace {

struct BenchOpsArguments {
  BenchNetwork network;
  int threads = 0;
  int64_t iterations = 10;
  std::string sort = "time", csv;
  bool json = false, force = false;
};

// Of the medians of all steps, so that shares add up to 1; near the median of whole iterations.
double sum_of(const Profile& profile) {
  double sum = 0;
  for (const StepProfile& step : profile.steps) sum += step.seconds.median;
  return sum;
}

// The larger of the shares of the arithmetic's and the memory's peak: 1 means that the machine can do no better. A
// step whose operands stay in the caches may reach more than the memory's.
double share_of_peak(const StepProfile& step, const Peak& peak) {
  const double ideal = std::max(step.flops / (peak.gflops * 1e9), step.bytes / (peak.gbytes * 1e9));
  return ideal / step.seconds.median;
}

// Of a text that may hold anything: in double quotes, as RFC 4180 has it.
std::string quoted_field(const std::string& text) {
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

std::string csv_of(const Profile& profile, const Peak& peak) {
  std::string text =
      "step,op,node,shape,implementation,layout,seconds,seconds_low,seconds_high,share,gflops,gbytes,share_of_peak\n";
  constexpr double kGiga = 1e9;
  for (const StepProfile& step : profile.steps) {
    text += fmt::format("{},{},{},{},{},{},{:.9f},{:.9f},{:.9f},{:.5f},{:.3f},{:.3f},{:.4f}\n", step.step,
                        quoted_field(step.info.op), quoted_field(step.info.name), quoted_field(step.shape),
                        quoted_field(step.info.implementation), quoted_field(step.info.layout), step.seconds.median,
                        step.seconds.low, step.seconds.high, step.seconds.median / sum_of(profile),
                        step.flops / step.seconds.median / kGiga, step.bytes / step.seconds.median / kGiga,
                        share_of_peak(step, peak));
  }
  return text;
}

Json to_json(const StepProfile& step, const Peak& peak) {
  return {{"op", step.info.op},
          {"name", step.info.name},
          {"shape", step.shape},
          {"implementation", step.info.implementation},
          {"layout", step.info.layout},
          {"seconds", step.seconds.median},
          {"seconds_low", step.seconds.low},
          {"seconds_high", step.seconds.high},
          {"seconds_alone", step.alone},
          {"seconds_onednn", step.onednn},
          {"flops", step.flops},
          {"bytes", step.bytes},
          {"share_of_peak", share_of_peak(step, peak)}};
}

ExitCode run(const BenchOpsArguments& a) {
  if (!a.csv.empty()) check_writable(a.csv, a.force);
  const std::unique_ptr<Fit> fit = make_bench_fit(a.network, parse_size(a.network.size), a.threads);
  fit->step();  // first touch of all memory
  const int threads = fit->plan().threads();
  const Peak peak = measure_peak(threads, choose_precision(a.network.precision));
  Profile profile = profile_iterations(*fit, a.iterations);
  constexpr int64_t kLeastTimes = 3;
  if (a.json) time_convolutions(*fit, profile.steps, std::max(a.iterations, kLeastTimes));
  const Machine machine = this_machine();
  if (!a.csv.empty()) write_file_atomically(a.csv, bytes_of(csv_of(profile, peak)), a.force);
  if (a.json) {
    Json json{{"model", a.network.model},
              {"size", a.network.size},
              {"precision", precision_name(a.network)},
              {"threads", threads},
              {"cpu", machine.cpu},
              {"isa", machine.isa},
              {"onednn", machine.onednn},
              {"peak_gflops", peak.gflops},
              {"peak_gbytes", peak.gbytes},
              {"seconds", profile.seconds.median}};
    json["steps"] = Json::array();
    for (const StepProfile& step : profile.steps) json["steps"].push_back(to_json(step, peak));
    fmt::print("{}\n", result_object(json).text());
    return ExitCode::ok;
  }
  fmt::print("{}", wrapped_lines(describe(machine), report_columns()));
  fmt::print("{} {} {} on {} thread{}: medians of {} iterations; measured peak {:.0f} GFLOP/s, {:.1f} GB/s\n\n",
             a.network.model, a.network.size, precision_name(a.network), threads, threads == 1 ? "" : "s", a.iterations,
             peak.gflops, peak.gbytes);
  if (a.sort == "time") {
    std::stable_sort(profile.steps.begin(), profile.steps.end(),
                     [](const auto& x, const auto& y) { return x.seconds.median > y.seconds.median; });
  }
  fmt::print("{:>9}  {:>6}  {:>7}  {:>7}  {:>6}  {:>5}  {:30} {:17} {:45} {}\n", "ms", "share", "spread", "GFLOP/s",
             "GB/s", "peak", "op", "output", "implementation", "node");
  const double sum = sum_of(profile);
  OpTimes times;
  for (const StepProfile& step : profile.steps) {
    const double seconds = step.seconds.median;
    times.add(step.info.op, seconds);
    const std::string gflops = step.flops > 0 ? fmt::format("{:.1f}", step.flops / seconds * 1e-9) : "";
    const std::string gbytes = step.bytes > 0 ? fmt::format("{:.1f}", step.bytes / seconds * 1e-9) : "";
    const std::string share = step.bytes > 0 ? fmt::format("{:.0f} %", 100 * share_of_peak(step, peak)) : "";
    fmt::print("{:9.3f}  {:4.1f} %  {:5.0f} %  {:>7}  {:>6}  {:>5}  {:30} {:17} {:45} {}\n", seconds * 1e3,
               100 * seconds / sum, 100 * (step.seconds.high - step.seconds.low) / seconds, gflops, gbytes, share,
               step.info.op, step.shape, step.info.implementation, step.info.name);
  }
  fmt::print("\nby op:\n{}\n\n{:8.2f} ms the whole iteration, its median ({:.2f} to {:.2f})\n", times.table(),
             profile.seconds.median * 1e3, profile.seconds.low * 1e3, profile.seconds.high * 1e3);
  return ExitCode::ok;
}

constexpr const char* kBenchOpsFooter =
    R"(Each op is timed in its place in whole iterations; 'spread' is the distance of the quartiles over the median. 'peak'
is the share of what this machine can do, measured in the same run: of its arithmetic or of its memory, whichever
binds the op more. Over 100 % means that the operands stayed in the caches, that a kernel needs fewer multiplications
than are counted (Winograd's convolutions), or that the machine was busier when its peak was measured.)";

}  // namespace

Command bench_ops_command() {
  const auto arguments = std::make_shared<BenchOpsArguments>();
  BenchOpsArguments& a = *arguments;
  Command command{.name = "ops", .help = "Time each op of a topology, forward and backward", .footer = kBenchOpsFooter};
  add_network_options(command, a.network);
  command.add(
      {{.names = "--threads",
        .target = &a.threads,
        .help = "How many; 0: as OMP_NUM_THREADS says, else all CPUs that this process may use",
        .checks = {range(0, 4096)}},
       {.names = "--iterations", .target = &a.iterations, .help = "How many to time", .checks = {range(1, 1000000)}},
       {.names = "--sort",
        .target = &a.sort,
        .help = "The order of the table: what takes longest first, or as the plan runs",
        .checks = {one_of({"time", "plan"})}},
       {.names = "--csv",
        .takes = "FILE",
        .target = &a.csv,
        .help = "Also write the table as CSV, in the plan's order"},
       {.names = "--json", .target = &a.json, .help = "One JSON object on stdout"},
       {.names = "--force", .target = &a.force, .help = "Overwrite a file that exists"}});
  command.run = [arguments](ParsedCommand&) { return run(*arguments); };
  return command;
}

}  // namespace hourglass::cli
