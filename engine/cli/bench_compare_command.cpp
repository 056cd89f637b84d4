#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/image/file.h"
#include "engine/measure/comparison.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct Arguments {
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
void check_same(const Arguments& a, const Saved& before, const Saved& now) {
  for (const char* member : {"mode", "model", "size", "precision_type"}) {
    const Json *first = before.json.find(member), *second = now.json.find(member);
    const std::string x = first == nullptr ? "" : first->text_or(""), y = second == nullptr ? "" : second->text_or("");
    if (x != y) fail("{} measures {} '{}', {} '{}': they can't be compared", a.before, member, x, a.now, y);
  }
}

std::string cpu_of(const Saved& saved) {
  const Json* machine = saved.json.find("machine");
  const Json* cpu = machine == nullptr ? nullptr : machine->find("cpu");
  return cpu == nullptr ? "" : cpu->text_or("");
}

ExitCode run(const Arguments& a) {
  const Saved before = read(a.before), now = read(a.now);
  check_same(a, before, now);
  const Comparison comparison = compare(before.points, now.points, a.tolerance);
  if (comparison.points.empty()) fail("{} and {} have no point in common", a.before, a.now);
  std::optional<Interval> loop;
  if (!before.reference.empty() && !now.reference.empty()) {
    loop = compare(before.reference, now.reference, 0).points[0].speed;
  }
  const ExitCode code = comparison.any(Verdict::slower) ? ExitCode::slower : ExitCode::ok;
  if (a.json) {
    Json json;
    json["points"] = Json::array();
    for (const PointComparison& point : comparison.points) {
      json["points"].push_back(
          Json{{"name", point.name},
               {"seconds_before", point.seconds_before},
               {"seconds_now", point.seconds_now},
               {"speed", Json{{"value", point.speed.value}, {"low", point.speed.low}, {"high", point.speed.high}}},
               {"verdict", name_of(point.verdict)}});
    }
    json["missing"] = comparison.missing;
    if (loop) json["reference_speed"] = Json{{"value", loop->value}, {"low", loop->low}, {"high", loop->high}};
    fmt::print("{}\n", json.text());
    return code;
  }
  fmt::print("{:>12}  {:>10}  {:>22}  {:13}  {}\n", "ms before", "ms now", "times as fast", "", "point");
  constexpr double kMilli = 1e3;
  for (const PointComparison& point : comparison.points) {
    fmt::print("{:12.2f}  {:10.2f}  {:>22}  {:13}  {}\n", kMilli * point.seconds_before, kMilli * point.seconds_now,
               fmt::format("{:.3f} ({:.3f} to {:.3f})", point.speed.value, point.speed.low, point.speed.high),
               name_of(point.verdict), point.name);
  }
  for (const std::string& name : comparison.missing) fmt::print("only in one of them: {}\n", name);
  if (loop) {
    fmt::print("\nThe loop that always does the same was {:.3f} ({:.3f} to {:.3f}) times as fast: {}.\n", loop->value,
               loop->low, loop->high, loop->holds(1) ? "the machine was the same" : "the machine itself differed");
  }
  if (cpu_of(before) != cpu_of(now)) fmt::print("Other machines: {}, and {}.\n", cpu_of(before), cpu_of(now));
  return code;
}

constexpr const char* kFooter =
    R"(A point is faster or slower when it differs by more than --tolerance, and when its interval, 95 % for all points
together, leaves out 1. The exit code is 4 when a point is slower, so that a script can refuse a change. The intervals
know what varied within each of the two measurements; that another day differs, the loop beside them may tell.

Examples:
  hourglass bench threads --save before.json
  hourglass bench threads --save now.json && hourglass bench compare before.json now.json)";

}  // namespace

Command bench_compare_command() {
  const auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  Command command{.name = "compare", .help = "Compare two measurements of 'bench threads --save'", .footer = kFooter};
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
