#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "engine/cli/bench_fit.h"
#include "engine/cli/command_text.h"
#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/cli/progress.h"
#include "engine/cli/same_file.h"
#include "engine/cli/scaling_figure.h"
#include "engine/image/file.h"
#include "engine/measure/machine.h"
#include "engine/measure/scaling.h"
#include "graph/error.h"
#include "models/builtin.h"

namespace hourglass::cli {
namespace {

enum class Mode : uint8_t { strong, weak, throughput };

const std::map<std::string, Mode> kModes{
    {"strong", Mode::strong}, {"weak", Mode::weak}, {"throughput", Mode::throughput}};

struct Arguments {
  BenchNetwork network;
  std::string mode_name = "strong";
  std::vector<int> threads;
  TimingOptions timing;
  double seconds = 5;               // of each split, over all rounds, in throughput mode
  int64_t image_iterations = 1000;  // that an image takes, for images per hour
  std::string csv, plot;
  bool json = false, force = false, quiet = false;

  [[nodiscard]] Mode mode() const { return kModes.at(mode_name); }
};

Json head(const Arguments& a, const Machine& machine) {
  return {{"mode", a.mode_name},
          {"model", a.network.model},
          {"size", a.network.size},
          {"precision", precision_name(a.network)},
          {"cpu", machine.cpu},
          {"cpus_online", machine.limits.online},
          {"cpus_affinity", machine.limits.affinity},
          {"cpus_quota", machine.limits.quota},
          {"isa", machine.isa},
          {"onednn", machine.onednn},
          {"openmp", machine.openmp}};
}

// The CSV and the plot, as far as they are wanted.
void write_files(const Arguments& a, const Machine& machine, const std::string& csv, Figure figure) {
  if (!a.csv.empty()) write_file_atomically(a.csv, bytes_of(csv), a.force);
  if (a.plot.empty()) return;
  figure.title = fmt::format("{} {} {}", a.network.model, a.network.size, precision_name(a.network));
  figure.note = describe(machine);
  std::replace(figure.note.begin(), figure.note.end(), '\n', ';');
  write_svg(a.plot, figure, a.force);
}

// "1.2" milliseconds, with as many digits as the spread lets one trust.
std::string milliseconds(const Spread& seconds) {
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", seconds.median * 1e3, seconds.low * 1e3, seconds.high * 1e3);
}

// The work of n threads in weak mode: n times the area, on sides that every built-in topology takes as they are.
ImageSize grown(const ImageSize& size, int threads) {
  constexpr double kMultiple = 32;
  const double factor = std::sqrt(static_cast<double>(threads));
  const auto side = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(length) * factor / kMultiple)) *
           static_cast<int64_t>(kMultiple);
  };
  return threads == 1 ? size : ImageSize{.width = side(size.width), .height = side(size.height)};
}

struct Row {
  ThreadTiming timing;
  ImageSize size;
  double speed = 0;       // pixels per second over the first row's
  double efficiency = 0;  // the same per thread
};

std::vector<Row> rows_of(const std::vector<ThreadTiming>& timings, const std::vector<ImageSize>& sizes) {
  std::vector<Row> rows;
  const auto rate = [&](std::size_t i) {
    return static_cast<double>(sizes[i].width * sizes[i].height) / timings[i].seconds.median;
  };
  for (std::size_t i = 0; i < timings.size(); ++i) {
    Row row{.timing = timings[i], .size = sizes[i], .speed = rate(i) / rate(0)};
    row.efficiency = row.speed * timings[0].threads / timings[i].threads;
    rows.push_back(std::move(row));
  }
  return rows;
}

void print_shares(const std::vector<Row>& rows) {
  std::map<std::string, double> largest;
  for (const Row& row : rows) {
    for (const auto& [op, seconds] : row.timing.op_seconds) {
      largest[op] = std::max(largest[op], seconds / row.timing.seconds.median);
    }
  }
  std::vector<std::pair<std::string, double>> order(largest.begin(), largest.end());
  std::sort(order.begin(), order.end(), [](const auto& x, const auto& y) { return x.second > y.second; });
  fmt::print("\nms per iteration, by op\n{:26}", "");
  for (const Row& row : rows)
    fmt::print("{:>16}", fmt::format("{} thread{}", row.timing.threads, row.timing.threads == 1 ? "" : "s"));
  fmt::print("\n");
  constexpr double kWorthALine = 0.01;
  for (const auto& [op, share] : order) {
    if (share < kWorthALine) continue;
    fmt::print("{:26}", op);
    for (const Row& row : rows) {
      const auto found = row.timing.op_seconds.find(op);
      const double seconds = found == row.timing.op_seconds.end() ? 0 : found->second;
      fmt::print("{:>16}", fmt::format("{:.2f} ({:2.0f} %)", seconds * 1e3, 100 * seconds / row.timing.seconds.median));
    }
    fmt::print("\n");
  }
}

void print_prediction(const Amdahl& law, int most) {
  fmt::print("\nAmdahl's law: {:.1f} % of the work is serial. ", 100 * law.serial_fraction);
  fmt::print("It predicts {:.1f}x on {} threads, {:.1f}x on {}", law.speed_up(2.0 * most), 2 * most,
             law.speed_up(4.0 * most), 4 * most);
  if (law.serial_fraction > 0) fmt::print(", and never more than {:.0f}x", law.limit());
  fmt::print(".\n");
}

std::string csv_of(const std::vector<Row>& rows) {
  std::string text = "threads,width,height,seconds,seconds_low,seconds_high,iterations,speed_up,efficiency\n";
  for (const Row& row : rows) {
    text += fmt::format("{},{},{},{:.6f},{:.6f},{:.6f},{},{:.4f},{:.4f}\n", row.timing.threads, row.size.width,
                        row.size.height, row.timing.seconds.median, row.timing.seconds.low, row.timing.seconds.high,
                        row.timing.iterations, row.speed, row.efficiency);
  }
  return text;
}

Json json_of(const std::vector<Row>& rows) {
  auto list = Json::array();
  for (const Row& row : rows) {
    list.push_back({{"threads", row.timing.threads},
                    {"width", row.size.width},
                    {"height", row.size.height},
                    {"seconds", row.timing.seconds.median},
                    {"seconds_low", row.timing.seconds.low},
                    {"seconds_high", row.timing.seconds.high},
                    {"iterations", row.timing.iterations},
                    {"speed_up", row.speed},
                    {"efficiency", row.efficiency},
                    {"memory_bytes", row.timing.memory_bytes},
                    {"op_seconds", row.timing.op_seconds}});
  }
  return list;
}

// Strong: the same image on more threads. Weak: an image that grows with them.
ExitCode run_scaling(const Arguments& a, const Machine& machine, const std::vector<int>& threads, Progress& progress) {
  const ImageSize size = parse_size(a.network.size);
  std::vector<ImageSize> sizes;
  for (const int n : threads) sizes.push_back(a.mode() == Mode::weak ? grown(size, n) : size);
  const auto make = [&](int n) {
    const auto at = static_cast<std::size_t>(std::find(threads.begin(), threads.end(), n) - threads.begin());
    return make_bench_fit(a.network, sizes[at], n);
  };
  const auto start = std::chrono::steady_clock::now();
  const std::vector<ThreadTiming> timings = time_threads(make, threads, a.timing, [&](int done, int total) {
    progress.show(done, total, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  });
  progress.finish();
  const std::vector<Row> rows = rows_of(timings, sizes);
  std::optional<Amdahl> law;
  if (a.mode() == Mode::strong && threads.size() > 1) {
    std::vector<std::pair<int, double>> points;
    for (const ThreadTiming& timing : timings) points.emplace_back(timing.threads, timing.seconds.median);
    law = fit_amdahl(points);
  }
  std::vector<ScalingPoint> points;
  for (const Row& row : rows) {
    const double work = a.mode() == Mode::weak ? static_cast<double>(row.size.width * row.size.height) : 1;
    points.push_back({.count = row.timing.threads, .rate = rate_of(row.timing.seconds, work)});
  }
  write_files(a, machine, csv_of(rows),
              a.mode() == Mode::weak ? weak_scaling_figure(points) : strong_scaling_figure(points, law));
  if (a.json) {
    Json json = head(a, machine);
    json["rows"] = json_of(rows);
    if (law) json["serial_fraction"] = law->serial_fraction;
    fmt::print("{}\n", json.text());
    return ExitCode::ok;
  }
  fmt::print("{}\n", describe(machine));
  fmt::print("{} {} {}: medians and quartiles over {}, each through all thread counts\n\n", a.network.model,
             a.mode() == Mode::weak ? "from " + a.network.size + " per thread" : a.network.size,
             precision_name(a.network), counted(a.timing.rounds, "round"));
  fmt::print("{:>7}  {:>11}  {:>28}  {:>8}  {:>8}  {:>10}  {:>9}\n", "threads", "size", "ms per iteration", "it/s",
             a.mode() == Mode::weak ? "pixels/s" : "speed-up", "efficiency", "memory");
  for (const Row& row : rows) {
    fmt::print("{:7}  {:>11}  {:>28}  {:8.2f}  {:>8}  {:8.0f} %  {:>9}\n", row.timing.threads,
               fmt::format("{}x{}", row.size.width, row.size.height), milliseconds(row.timing.seconds),
               1 / row.timing.seconds.median, fmt::format("{:.2f}x", row.speed), 100 * row.efficiency,
               fmt::format("{:.0f} MiB", static_cast<double>(row.timing.memory_bytes) / (1 << 20)));
  }
  if (a.mode() == Mode::strong) print_shares(rows);
  if (law) print_prediction(*law, *std::max_element(threads.begin(), threads.end()));
  return ExitCode::ok;
}

struct Split {
  int instances = 0, threads = 0;
  Spread rate;  // iterations per second, of all together
  std::size_t memory_bytes = 0;
};

// Every way to divide the CPUs evenly: k instances of n threads. Each round times all of them in turn.
std::vector<Split> time_splits(const Arguments& a, int cpus, Progress& progress) {
  const auto make = [&](int n) { return make_bench_fit(a.network, parse_size(a.network.size), n); };
  std::vector<Split> splits;
  for (int n = cpus; n >= 1; --n) {
    if (cpus % n == 0) splits.push_back({.instances = cpus / n, .threads = n, .rate = {}});
  }
  std::vector<std::vector<double>> rates(splits.size());
  const int64_t total = static_cast<int64_t>(splits.size()) * a.timing.rounds;
  int64_t done = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < a.timing.rounds; ++round) {
    for (std::size_t i = 0; i < splits.size(); ++i) {
      const SplitTiming timing = time_split(make, splits[i].instances, splits[i].threads, a.seconds / a.timing.rounds);
      rates[i].push_back(timing.iterations_per_second);
      splits[i].memory_bytes = timing.memory_bytes;
      progress.show(++done, total, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
  }
  progress.finish();
  for (std::size_t i = 0; i < splits.size(); ++i) splits[i].rate = spread_of(rates[i]);
  return splits;
}

Spread images_per_hour(const Arguments& a, const Split& split) {
  constexpr double kHour = 3600;
  const double factor = kHour / static_cast<double>(a.image_iterations);
  return {.median = factor * split.rate.median, .low = factor * split.rate.low, .high = factor * split.rate.high};
}

void print_splits(const Arguments& a, const std::vector<Split>& splits, int cpus) {
  fmt::print("{:>9}  {:>12}  {:>24}  {:>24}  {:>9}\n", "instances", "threads each", "it/s", "images/hour", "memory");
  for (const Split& split : splits) {
    const Spread images = images_per_hour(a, split);
    fmt::print("{:9}  {:12}  {:>24}  {:>24}  {:>9}\n", split.instances, split.threads,
               fmt::format("{:.2f} ({:.2f} to {:.2f})", split.rate.median, split.rate.low, split.rate.high),
               fmt::format("{:.1f} ({:.1f} to {:.1f})", images.median, images.low, images.high),
               fmt::format("{:.0f} MiB", static_cast<double>(split.memory_bytes) / (1 << 20)));
  }
  const Split& best = *std::max_element(splits.begin(), splits.end(),
                                        [](const auto& x, const auto& y) { return x.rate.median < y.rate.median; });
  if (best.instances == 1) {
    fmt::print("\nMost images per hour: one at a time on {}, --threads {} (the default).\n",
               cpus == 1 ? "the one thread" : fmt::format("all {} threads", cpus), cpus);
  } else {
    fmt::print("\nMost images per hour: {} at a time with --threads {} each, as in\n", best.instances, best.threads);
    fmt::print("  ls *.jpg | xargs -P {} -n 1 hourglass restore --threads {} -q\n", best.instances, best.threads);
  }
}

ExitCode run_throughput(const Arguments& a, const Machine& machine, int cpus, Progress& progress) {
  const std::vector<Split> splits = time_splits(a, cpus, progress);
  std::string csv =
      "instances,threads,iterations_per_second,iterations_per_second_low,iterations_per_second_high,images_per_hour,"
      "memory_bytes\n";
  Json json = head(a, machine);
  json["image_iterations"] = a.image_iterations;
  json["rows"] = Json::array();
  std::vector<ScalingPoint> points;
  for (const Split& split : splits) {
    const Spread& rate = split.rate;
    points.push_back({.count = split.instances, .rate = images_per_hour(a, split)});
    csv += fmt::format("{},{},{:.4f},{:.4f},{:.4f},{:.3f},{}\n", split.instances, split.threads, rate.median, rate.low,
                       rate.high, points.back().rate.median, split.memory_bytes);
    json["rows"].push_back({{"instances", split.instances},
                            {"threads", split.threads},
                            {"iterations_per_second", rate.median},
                            {"iterations_per_second_low", rate.low},
                            {"iterations_per_second_high", rate.high},
                            {"images_per_hour", points.back().rate.median},
                            {"memory_bytes", split.memory_bytes}});
  }
  write_files(a, machine, csv, throughput_figure(points));
  if (a.json) {
    fmt::print("{}\n", json.text());
    return ExitCode::ok;
  }
  fmt::print("{}\n", describe(machine));
  fmt::print("{} {} {}: {} divided, medians and quartiles over {} of {:.3g} s; an image is {} iterations\n\n",
             a.network.model, a.network.size, precision_name(a.network), counted(cpus, "CPU"),
             counted(a.timing.rounds, "round"), a.seconds / a.timing.rounds, a.image_iterations);
  print_splits(a, splits, cpus);
  return ExitCode::ok;
}

constexpr const char* kFooter =
    R"(Modes:
  strong      the same image on more threads: speed-up, efficiency, the serial share of the work (Amdahl's law)
              and what it predicts beyond this machine, where the time goes
  weak        an image whose area grows with the threads: does each thread keep its pace?
  throughput  the CPUs divided among fits side by side: which split restores the most images per hour?

Examples:
  hourglass bench threads --model net.onnx --size 512x512 --threads 1,2,4,8 --plot threads.svg
  hourglass bench threads --mode throughput --model small --size 1024x768)";

ExitCode run(const Arguments& a) {
  const std::string model = find_builtin(a.network.model) == nullptr ? a.network.model : std::string();
  check_distinct({{"--model", model}}, {{"--csv", a.csv}, {"--plot", a.plot}});
  for (const std::string* path : {&a.csv, &a.plot}) {
    if (!path->empty()) check_writable(*path, a.force);
  }
  Progress progress({.quiet = a.quiet});
  const Machine machine = this_machine();
  const std::set<int> sorted(a.threads.begin(), a.threads.end());
  std::vector<int> threads(sorted.begin(), sorted.end());
  if (a.mode() == Mode::throughput) {
    if (threads.size() > 1) fail("--mode throughput divides one number of CPUs: give --threads one number");
    return run_throughput(a, machine, threads.empty() ? machine.available : threads[0], progress);
  }
  if (threads.empty()) threads = default_thread_counts(machine.available);
  if (threads.back() > machine.available) {
    progress.say(fmt::format("note: {} threads share {}: what is over that measures the sharing", threads.back(),
                             counted(machine.available, "CPU")));
  }
  return run_scaling(a, machine, threads, progress);
}

}  // namespace

Command bench_threads_command() {
  const auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  Command command{
      .name = "threads", .help = "How iterations scale with threads, and what more would buy", .footer = kFooter};
  add_network_options(command, a.network);
  command.add({{.names = "--mode",
                .target = &a.mode_name,
                .help = "What is measured: see below",
                .checks = {one_of({"strong", "weak", "throughput"})}},
               {.names = "--threads",
                .target = &a.threads,
                .help = "Counts, as in 1,2,4 (default: powers of two up to the CPUs available)",
                .checks = {range(1, 4096)}},
               {.names = "--rounds",
                .target = &a.timing.rounds,
                .help = "How often to go through all thread counts, or splits",
                .checks = {range(1, 1000)}},
               {.names = "--round-seconds",
                .takes = "SECONDS",
                .target = &a.timing.round_seconds,
                .help = "How long to time a count in a round, at least",
                .checks = {range(0.0, 3600.0)}},
               {.names = "--seconds",
                .takes = "SECONDS",
                .target = &a.seconds,
                .help = "How long to time a split, over all rounds (throughput)",
                .checks = {range(0.01, 36000.0)}},
               {.names = "--image-iterations",
                .target = &a.image_iterations,
                .help = "Iterations that an image takes (throughput)",
                .checks = {range(1, 10000000)}},
               {.names = "--csv", .takes = "FILE", .target = &a.csv, .help = "Also write the table as CSV"},
               {.names = "--plot",
                .takes = "FILE",
                .target = &a.plot,
                .help = "Also plot it: measured, ideal, and as Amdahl's law has it (SVG)"},
               {.names = "--json", .target = &a.json, .help = "One JSON object on stdout instead of the table"},
               {.names = "--force", .target = &a.force, .help = "Overwrite files that exist"},
               {.names = "-q,--quiet", .target = &a.quiet, .help = "No progress"}});
  command.run = [arguments](ParsedCommand&) { return run(*arguments); };
  return command;
}

}  // namespace hourglass::cli
