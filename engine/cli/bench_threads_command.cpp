#include <algorithm>
#include <cmath>
#include <ctime>
#include <memory>
#include <set>
#include <sstream>

#include "engine/cli/command_text.h"
#include "engine/cli/commands.h"
#include "engine/cli/output.h"
#include "engine/cli/prose.h"
#include "engine/cli/same_file.h"
#include "engine/cli/terminal.h"
#include "engine/cli/threads_arguments.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "graph/error.h"
#include "models/builtin.h"

namespace hourglass::cli {

Json to_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.known() ? Json(interval.low) : Json()}, {"high", interval.high}};
}

std::string text_of(const Interval& interval, int digits) {
  constexpr double kHundred = 100, kThousand = 1000;
  const double largest = interval.known() ? interval.high : interval.value;
  if (largest >= kThousand) {
    digits = 0;
  } else if (largest >= kHundred) {
    digits = std::min(digits, 1);
  }
  if (!interval.known()) return fmt::format("{:.{}f} (?)", interval.value, digits);
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", interval.value, digits, interval.low, digits, interval.high,
                     digits);
}

std::string csv_of(const Interval& interval, int digits) {
  if (!interval.known()) return fmt::format("{:.{}f},,", interval.value, digits);
  return fmt::format("{:.{}f},{:.{}f},{:.{}f}", interval.value, digits, interval.low, digits, interval.high, digits);
}

std::string interval_note(int rounds) {
  if (rounds == 1) return "One round: how sure it is, nobody knows (?)";
  if (rounds < kLeastForInterval) {
    return fmt::format("Medians over rounds, and from the least to the most: {} rounds are too few for 95 % intervals",
                       rounds);
  }
  return "Medians over rounds, with 95 % intervals";
}

std::string restore_command(const ThreadsArguments& a, const Recommended& what) {
  std::string text = fmt::format("hourglass restore {} --method fit --model {}", what.input, quoted(a.network.model));
  if (!a.network.model_output.empty()) text += " --model-output " + quoted(a.network.model_output);
  text += fmt::format(" --precision {}", precision_name(a.network));
  if (what.jobs > 0) text += fmt::format(" --jobs {}", what.jobs);
  text += fmt::format(" --threads {}", what.threads);
  if (what.bind != Bind::none) text += fmt::format(" --bind {}", name_of(what.bind));
  const std::optional<uint64_t> limit = what.memory_limit ? what.memory_limit : a.network.memory_limit;
  if (limit) text += fmt::format(" --memory-limit {}", *limit);
  return text;
}

std::optional<Bind> bind_of(const ThreadsArguments& a) {
  if (a.bind == "auto") return {};
  return hourglass::bind_of(a.bind);
}

std::string how_it_ended(const RoundOptions& options, Ended ended, int rounds, double seconds, double precision) {
  std::string text = fmt::format("{} in {:.0f} s: ", counted(rounds, "round"), seconds);
  if (!std::isfinite(precision)) {
    return text + (ended == Ended::as_asked
                       ? "one, as asked for, says nothing of how sure it is (--rounds)."
                       : "the time allows no second one, and one says nothing of how sure it is (--time-limit).");
  }
  if (ended == Ended::as_asked) return text + fmt::format("as many as asked for, known to {:.1f} %.", 100 * precision);
  if (ended == Ended::precise) return text + fmt::format("known to {:.1f} %, as was the goal.", 100 * precision);
  return text +
         fmt::format(
             "there is no time for another (--time-limit). The medians are known to {:.1f} %; {:.1f} % was the goal "
             "(--precision-goal).",
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

}  // namespace

std::string csv_head(const ThreadsArguments& a, const Machine& machine) {
  std::string text = fmt::format("hourglass bench threads --mode {}: {} {} {}, {}\n{}\n{}", a.mode, a.network.model,
                                 a.network.size, precision_name(a.network), today(), describe(machine), version_text());
  std::string comments;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) comments += "# " + line + "\n";
  return comments;
}

namespace {

ThreadsReport measure(const ThreadsArguments& a, const Machine& machine, Progress& progress) {
  if (a.mode == "throughput") return run_throughput(a, machine, progress);
  if (a.mode == "memory") return run_memory(a, machine, progress);
  return run_strong_or_weak(a, machine, progress);
}

constexpr const char* kBenchThreadsFooter =
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
  if (!a.csv.empty()) write_file_atomically(a.csv, bytes_of(csv_head(a, machine) + report.csv), a.force);
  if (!a.plot.empty()) {
    report.figure.title = title;
    report.figure.note = fmt::format("{}, {}, {}", machine.cpu, counted(machine.available, "CPU"), today());
    write_svg(a.plot, report.figure, a.force);
  }
  if (a.json) {
    fmt::print("{}\n", result_object(json).text());
    return ExitCode::ok;
  }
  fmt::print("{}", wrapped_lines(describe(machine), report_columns()));
  fmt::print("{}, --mode {}\n\n", title, a.mode);
  fmt::print("{}", wrapped_lines(report.text, report_columns()));
  fmt::print("\nTo use it:\n");
  for (const std::string& line : wrapped_command(report.recommended, report_columns() - 2)) fmt::print("  {}\n", line);
  return ExitCode::ok;
}

}  // namespace

Command bench_threads_command() {
  const auto arguments = std::make_shared<ThreadsArguments>();
  ThreadsArguments& a = *arguments;
  Command command{.name = "threads",
                  .help = "How iterations scale with threads, and what more would buy",
                  .footer = kBenchThreadsFooter};
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
                .help = "End within so long, all in all; one round is measured at least",
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
