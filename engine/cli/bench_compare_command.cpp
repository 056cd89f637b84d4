#include <cstdio>
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/cli/prose.h"
#include "engine/cli/terminal.h"
#include "engine/image/file.h"
#include "engine/measure/comparison.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct BenchCompareArguments {
  std::string before, now;
  double tolerance = 0.02;
  bool json = false;
};

struct Saved {
  Json json;
  std::vector<NamedRounds> points;
  std::vector<NamedRounds> reference;  // one, of what the loop took
};

std::vector<double> numbers(const Json* list) {
  std::vector<double> values;
  if (list == nullptr) return values;
  for (const Json& one : list->elements()) values.push_back(one.number_or(0));
  return values;
}

Saved read(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  const std::optional<Json> json =
      Json::parse(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  const Json* schema = json ? json->find("schema") : nullptr;
  if (schema == nullptr || schema->text_or("") != "hourglass-bench-threads") {
    fail("{}: is none of what 'hourglass bench threads --save' writes", path);
  }
  const Json* version = json->find("schema_version");
  constexpr double kVersion = 1;
  if (version == nullptr || version->number_or(0) != kVersion) {
    fail("{}: has another schema_version than 1: compare it with the program that wrote it", path);
  }
  Saved saved{.json = *json, .points = {}, .reference = {}};
  const Json* points = json->find("points");
  for (const Json& point : points == nullptr ? std::vector<Json>() : points->elements()) {
    const Json* name = point.find("name");
    std::vector<double> rounds = numbers(point.find("round_seconds"));
    if (name == nullptr || rounds.empty()) continue;
    for (const double seconds : rounds) {
      if (!(seconds > 0)) fail("{}: '{}' has a round of {} s", path, name->text_or(""), seconds);
    }
    saved.points.push_back({.name = name->text_or(""), .rounds = std::move(rounds)});
  }
  if (saved.points.empty()) fail("{}: holds no timings (--mode memory measures none)", path);
  if (const Json* conditions = json->find("conditions")) {
    std::vector<double> reference = numbers(conditions->find("reference_seconds"));
    if (!reference.empty()) saved.reference.push_back({.name = "reference", .rounds = std::move(reference)});
  }
  return saved;
}

// What must be the same for a comparison to mean anything.
void check_same(const BenchCompareArguments& a, const Saved& before, const Saved& now) {
  for (const char* member : {"mode", "model", "size", "precision_type"}) {
    const Json *first = before.json.find(member), *second = now.json.find(member);
    const std::string x = first == nullptr ? "" : first->text_or(""), y = second == nullptr ? "" : second->text_or("");
    if (x != y) fail("{} measures {} '{}', {} '{}': they can't be compared", a.before, member, x, a.now, y);
  }
}

// A member by its path, as "machine topology cores", in words; empty where it is not there.
std::string word_of(const Json& json, std::string_view path) {
  const std::size_t end = path.find(' ');
  const Json* member = json.find(path.substr(0, end));
  if (member == nullptr) return {};
  if (end != std::string_view::npos) return word_of(*member, path.substr(end + 1));
  return member->text_or(member->text());
}

struct Difference {
  std::string what, before, now;
};

// What speeds depend on besides the program.
std::vector<Difference> differences(const Saved& before, const Saved& now) {
  std::vector<Difference> list;
  for (const auto& [what, path] : {std::pair{"CPU", "machine cpu"},
                                   {"host", "machine host"},
                                   {"cores", "machine topology usable_cores"},
                                   {"hardware threads", "machine topology usable_hardware_threads"},
                                   {"quota", "machine cpus_quota"},
                                   {"governor", "machine governor"},
                                   {"boost", "machine boost"},
                                   {"instructions", "machine isa"},
                                   {"oneDNN", "machine onednn"},
                                   {"OpenMP", "machine openmp"},
                                   {"binding", "bind chosen"}}) {
    const std::string x = word_of(before.json, path), y = word_of(now.json, path);
    if (x != y) list.push_back({.what = what, .before = x, .now = y});
  }
  return list;
}

void print_table(const Comparison& comparison) {
  fmt::print("{:>8} {:>8}  {:>22}  {:14} {}\n", "before", "now, ms", "times as fast", "", "point");
  const auto milliseconds = [](double seconds) {
    constexpr double kMilli = 1e3, kThousand = 1000;
    const double ms = kMilli * seconds;
    return fmt::format("{:.{}f}", ms, ms < kThousand ? 2 : 0);
  };
  for (const PointComparison& point : comparison.points) {
    const Interval& speed = point.speed;
    const std::string times = speed.known()
                                  ? fmt::format("{:.3f} ({:.3f} to {:.3f})", speed.value, speed.low, speed.high)
                                  : fmt::format("{:.3f} (?)", speed.value);
    fmt::print("{:>8} {:>8}  {:>22}  {:14} {}\n", milliseconds(point.seconds_before), milliseconds(point.seconds_now),
               times, name_of(point.verdict), point.name);
  }
}

// The exit code; throws Error where a point of the first can't be judged, and no other one is slower.
ExitCode judge(const BenchCompareArguments& a, const Comparison& comparison) {
  if (comparison.any(Verdict::slower)) return ExitCode::slower;
  if (comparison.any(Verdict::unknown)) {
    fail("with fewer than {} rounds nothing can be told: measure again without --rounds, or with more --time-limit",
         kLeastForInterval);
  }
  if (!comparison.gone.empty()) {
    fail("{} has no '{}', and so nothing is told of what {} measured there: give both the same --threads", a.now,
         comparison.gone.front(), a.before);
  }
  return ExitCode::ok;
}

Json to_json(const Interval& x) {
  return {{"value", x.value}, {"low", x.known() ? Json(x.low) : Json()}, {"high", x.high}};
}

Json to_json(const Comparison& comparison, const std::optional<Interval>& loop, const std::vector<Difference>& others) {
  Json json;
  json["points"] = Json::array();
  for (const PointComparison& point : comparison.points) {
    json["points"].push_back(Json{{"name", point.name},
                                  {"seconds_before", point.seconds_before},
                                  {"seconds_now", point.seconds_now},
                                  {"speed", to_json(point.speed)},
                                  {"verdict", name_of(point.verdict)}});
  }
  json["gone"] = comparison.gone;
  json["added"] = comparison.added;
  if (loop) json["reference_speed"] = to_json(*loop);
  json["differences"] = Json::array();
  for (const Difference& other : others) {
    json["differences"].push_back(Json{{"what", other.what}, {"before", other.before}, {"now", other.now}});
  }
  return json;
}

ExitCode run(const BenchCompareArguments& a) {
  const Saved before = read(a.before), now = read(a.now);
  check_same(a, before, now);
  const Comparison comparison = compare(before.points, now.points, a.tolerance);
  if (comparison.points.empty()) fail("{} and {} have no point in common", a.before, a.now);
  std::optional<Interval> loop;
  if (!before.reference.empty() && !now.reference.empty()) {
    loop = compare(before.reference, now.reference, 0).points[0].speed;
  }
  const std::vector<Difference> others = differences(before, now);
  if (a.json) {
    fmt::print("{}\n", result_object(to_json(comparison, loop, others)).text());
    return judge(a, comparison);
  }
  print_table(comparison);
  for (const std::string& name : comparison.gone) fmt::print("{} alone has {}\n", a.before, name);
  for (const std::string& name : comparison.added) fmt::print("{} alone has {}\n", a.now, name);
  std::string text;
  if (loop) {
    text =
        fmt::format("The loop that always does the same was {:.3f} ({:.3f} to {:.3f}) times as fast: {}.", loop->value,
                    loop->low, loop->high, loop->holds(1) ? "the machine was the same" : "the machine itself differed");
  }
  for (const Difference& other : others) {
    text +=
        fmt::format("{}Another {}: '{}', and now '{}'.", text.empty() ? "" : " ", other.what, other.before, other.now);
  }
  if (!text.empty()) fmt::print("\n");
  for (const std::string& line : wrapped(text, report_columns())) fmt::print("{}\n", line);
  std::fflush(stdout);
  return judge(a, comparison);
}

constexpr const char* kBenchCompareFooter =
    R"(A point is faster or slower when it differs by more than --tolerance, and when its interval, 95 % for all points
together, leaves out 1. The exit code is 4 when a point is slower, so that a script can refuse a change, and 1 when one
can't be judged: it has fewer than five rounds in one of the files, or NOW lacks it. The intervals
know what varied within each of the two measurements; that another day differs, the loop beside them may tell.

Examples:
  hourglass bench threads --save before.json
  hourglass bench threads --save now.json && hourglass bench compare before.json now.json)";

}  // namespace

Command bench_compare_command() {
  const auto arguments = std::make_shared<BenchCompareArguments>();
  BenchCompareArguments& a = *arguments;
  Command command{
      .name = "compare", .help = "Compare two measurements of 'bench threads --save'", .footer = kBenchCompareFooter};
  command.add(
      {{.names = "BEFORE", .takes = "FILE", .target = &a.before, .help = "The first measurement", .required = true},
       {.names = "NOW", .takes = "FILE", .target = &a.now, .help = "The second", .required = true},
       {.names = "--tolerance",
        .takes = "SHARE",
        .target = &a.tolerance,
        .help = "Differences up to this are none: 2% or 0.02",
        .checks = {share()}},
       {.names = "--json", .target = &a.json, .help = "One JSON object on stdout in place of the table"}});
  command.run = [arguments](ParsedCommand&) { return run(*arguments); };
  return command;
}

}  // namespace hourglass::cli
