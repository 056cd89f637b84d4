#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <set>
#include <sstream>

#include "engine/cli/command_text.h"
#include "engine/cli/commands.h"
#include "engine/cli/output.h"
#include "engine/cli/prose.h"
#include "engine/cli/same_file.h"
#include "engine/cli/threads_arguments.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "graph/error.h"
#include "models/builtin.h"

namespace hourglass::cli {

Json to_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

std::string text_of(const Interval& interval, int digits) {
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", interval.value, digits, interval.low, digits, interval.high,
                     digits);
}

std::optional<Bind> bind_of(const ThreadsArguments& a) {
  if (a.bind == "auto") return {};
  return hourglass::bind_of(a.bind);
}

std::string how_it_ended(const RoundOptions& options, Ended ended, int rounds, double seconds, double precision) {
  std::string text = fmt::format("{} in {:.0f} s: ", counted(rounds, "round"), seconds);
  if (ended == Ended::as_asked) return text + fmt::format("as many as asked for, known to {:.1f} %.", 100 * precision);
  if (ended == Ended::precise) return text + fmt::format("known to {:.1f} %, as was the goal.", 100 * precision);
  return text + fmt::format("the time was over, with {:.1f} % known of {:.1f} % (--time-limit, --precision-goal).",
                            100 * precision, 100 * options.precision_goal);
}

namespace {

constexpr int kSchemaVersion = 1;

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[sizeof "2026-01-01T00:00:00Z"];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Json to_json(const Topology& topology) {
  Json json{{"known", topology.from_hwloc},
            {"packages", topology.packages},
            {"nodes", topology.nodes},
            {"cores", topology.cores},
            {"hardware_threads", topology.threads.size()},
            {"usable_cores", topology.usable_cores()},
            {"usable_hardware_threads", topology.usable().size()},
            {"node_bytes", topology.node_bytes}};
  json["caches"] = Json::array();
  for (const CacheLevel& cache : topology.caches) {
    json["caches"].push_back(
        Json{{"name", cache.name}, {"bytes", cache.bytes}, {"hardware_threads", cache.hardware_threads}});
  }
  return json;
}

Json head(const ThreadsArguments& a, const Machine& machine) {
  return {{"schema", "hourglass-bench-threads"},
          {"schema_version", kSchemaVersion},
          {"date", today()},
          {"program", version_text()},
          {"mode", a.mode},
          {"model", a.network.model},
          {"size", a.network.size},
          {"precision_type", precision_name(a.network)},
          {"machine",
           {{"cpu", machine.cpu},
            {"host", machine.host},
            {"kernel", machine.kernel},
            {"cpus_online", machine.limits.online},
            {"cpus_affinity", machine.limits.affinity},
            {"cpus_quota", machine.limits.quota},
            {"memory_bytes", machine.memory_bytes},
            {"governor", machine.clock.governor},
            {"boost", machine.clock.boost},
            {"isa", machine.isa},
            {"onednn", machine.onednn},
            {"openmp", machine.openmp},
            {"topology", to_json(machine.topology)}}},
          {"settings",
           {{"bind", a.bind},
            {"rounds", a.rounds.rounds ? Json(*a.rounds.rounds) : Json()},
            {"precision_goal", a.rounds.precision_goal},
            {"time_limit", a.rounds.time_limit},
            {"round_seconds", a.round_seconds}}}};
}

// Lines that begin with a blank are a table's, and as wide as that is.
void print_wrapped(const std::string& text) {
  constexpr std::size_t kColumns = 80;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.empty() || line.starts_with(' ')) {
      fmt::print("{}\n", line);
    } else {
      for (const std::string& piece : wrapped(line, kColumns)) fmt::print("{}\n", piece);
    }
  }
}

ThreadsReport measure(const ThreadsArguments& a, const Machine& machine, Progress& progress) {
  if (a.mode == "throughput") return run_throughput(a, machine, progress);
  if (a.mode == "memory") return run_memory(a, machine, progress);
  return run_strong_or_weak(a, machine, progress);
}

constexpr const char* kFooter =
    R"(Modes:
  strong      the same image on more threads: speed-up, where the time goes, which law describes it, what to set
  weak        an image whose area grows with the threads: does each thread keep its pace?
  throughput  the CPUs divided among fits side by side: which split restores the most images per hour?
  memory      how large an image fits; plans alone, nothing is timed

Bindings:
  none     threads run wherever the system puts them
  cores    each is kept to a core, neighbours first: they share caches and a NUMA node as long as these have room
  threads  the same, each to a single hardware thread
  spread   each to a core, as far apart as can be: nodes and last-level caches in turn
  nodes    each to the CPUs of a node, on as few nodes as have a core for each thread
  auto     what measures best with the most threads

Every core gets a thread before any gets a second one. It measures in rounds, each through all points in turn, until
all medians are known to --precision-goal, with 95 % intervals by bootstrap over the rounds, or until --time-limit.
What --save writes is described in bench/scaling_schema.md; 'hourglass bench compare' compares two of them.

Examples:
  hourglass bench threads --model net.onnx --size 512x512 --threads 1,2,4,8 --plot threads.svg
  hourglass bench threads --save today.json
  hourglass bench threads --mode throughput --model small --size 1024x768)";

ExitCode run(const ThreadsArguments& given) {
  ThreadsArguments a = given;
  const std::set<int> sorted(a.threads.begin(), a.threads.end());
  a.threads.assign(sorted.begin(), sorted.end());
  const std::string model = find_builtin(a.network.model) == nullptr ? a.network.model : std::string();
  check_distinct({{"--model", model}}, {{"--csv", a.csv}, {"--plot", a.plot}, {"--save", a.save}});
  for (const std::string* path : {&a.csv, &a.plot, &a.save}) {
    if (!path->empty()) check_writable(*path, a.force);
  }
  Progress progress({.quiet = a.quiet});
  const Machine machine = this_machine();
  ThreadsReport report = measure(a, machine, progress);
  const std::string title = fmt::format("{} {} {}", a.network.model, a.network.size, precision_name(a.network));
  Json json = head(a, machine);
  json.update(report.json);
  json["recommended"] = report.recommended;
  if (!a.save.empty()) write_file_atomically(a.save, bytes_of(json.text(1) + "\n"), a.force);
  if (!a.csv.empty()) write_file_atomically(a.csv, bytes_of(report.csv), a.force);
  if (!a.plot.empty()) {
    report.figure.title = title;
    report.figure.note = fmt::format("{}, {}, {}", machine.cpu, counted(machine.available, "CPU"), today());
    write_svg(a.plot, report.figure, a.force);
  }
  if (a.json) {
    fmt::print("{}\n", json.text());
    return ExitCode::ok;
  }
  print_wrapped(describe(machine));
  fmt::print("{}, --mode {}\n\n", title, a.mode);
  print_wrapped(report.text);
  fmt::print("\nTo use it:\n  {}\n", report.recommended);
  return ExitCode::ok;
}

}  // namespace

Command bench_threads_command() {
  const auto arguments = std::make_shared<ThreadsArguments>();
  ThreadsArguments& a = *arguments;
  Command command{
      .name = "threads", .help = "How iterations scale with threads, and what more would buy", .footer = kFooter};
  add_network_options(command, a.network);
  command.add({{.names = "--mode",
                .target = &a.mode,
                .help = "What is measured: see below",
                .checks = {one_of({"strong", "weak", "throughput", "memory"})}},
               {.names = "--threads",
                .target = &a.threads,
                .help = "Counts, as in 1,2,4 (default: powers of two up to the CPUs available, and where caches, nodes "
                        "and cores end)",
                .checks = {range(1, 4096)}},
               {.names = "--bind",
                .target = &a.bind,
                .help = "Which CPUs each thread is kept to: see below",
                .checks = {one_of({"auto", "none", "cores", "threads", "spread", "nodes"})}},
               {.names = "--precision-goal",
                .takes = "SHARE",
                .target = &a.rounds.precision_goal,
                .help = "End when every median is known so well, half its interval over it: 1% or 0.01",
                .checks = {share()}},
               {.names = "--time-limit",
                .takes = "SECONDS",
                .target = &a.rounds.time_limit,
                .help = "End after so long, with the round in hand",
                .checks = {range(0.0, 360000.0)}},
               {.names = "--rounds",
                .target = &a.rounds.rounds,
                .help = "Go through all points exactly so often, in place of the goal and the limit",
                .checks = {range(1, kMostRounds)}},
               {.names = "--round-seconds",
                .takes = "SECONDS",
                .target = &a.round_seconds,
                .help = "How long to time a point in a round, at least, after its warm-up",
                .checks = {range(0.0, 3600.0)}},
               {.names = "--image-iterations",
                .target = &a.image_iterations,
                .help = "Iterations that an image takes (throughput)",
                .checks = {range(1, 10000000)}},
               {.names = "--save",
                .takes = "FILE",
                .target = &a.save,
                .help = "Write all of it as JSON, for 'hourglass bench compare'"},
               {.names = "--csv", .takes = "FILE", .target = &a.csv, .help = "Also write the table as CSV"},
               {.names = "--plot",
                .takes = "FILE",
                .target = &a.plot,
                .help = "Also plot it: points, intervals, laws and ceilings (SVG, light and dark)"},
               {.names = "--json", .target = &a.json, .help = "On stdout what --save writes, in place of the table"},
               {.names = "--force", .target = &a.force, .help = "Overwrite files that exist"},
               {.names = "-q,--quiet", .target = &a.quiet, .help = "No progress"}});
  command.run = [arguments](ParsedCommand&) { return run(*arguments); };
  return command;
}

}  // namespace hourglass::cli
