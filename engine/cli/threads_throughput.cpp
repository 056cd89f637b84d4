// Throughput: the CPUs divided among fits side by side, each on CPUs of its own. Which division restores the most?
#include <algorithm>
#include <chrono>

#include "engine/cli/command_text.h"
#include "engine/cli/scaling_figure.h"
#include "engine/cli/threads_arguments.h"
#include "engine/measure/ceilings.h"
#include "engine/measure/explain.h"
#include "engine/measure/load.h"
#include "engine/measure/side_by_side.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Point {
  Split split;
  std::vector<double> rounds;  // seconds per iteration, of all together
  Interval rate;               // iterations per second, of all together
  Interval over_one;           // the rate over that of one at a time
  std::size_t memory_bytes = 0;
};

Interval reciprocal(const Interval& x) {
  return x.known() ? Interval{.value = 1 / x.value, .low = 1 / x.high, .high = 1 / x.low}
                   : unknown_interval(1 / x.value);
}

Interval scaled(const Interval& x, double factor) {
  return {.value = factor * x.value, .low = factor * x.low, .high = factor * x.high};
}

std::string name_of(const Split& split) {
  return fmt::format("{} x {}", split.instances, counted(split.threads, "thread"));
}

// How many images an hour, in words.
std::string verdict(const std::vector<Point>& points, const Point& best) {
  if (points.size() == 1) return "There is nothing to divide.\n";
  if (best.split.instances > 1) {
    return fmt::format("Most images per hour: {} at a time on {} each, {} times as many as one at a time.\n",
                       best.split.instances, counted(best.split.threads, "thread"), text_of(best.over_one));
  }
  const bool seems_faster =
      std::any_of(points.begin(), points.end(), [&](const Point& point) { return point.rate.value > best.rate.value; });
  return seems_faster ? "No division is surely faster than one at a time on all of them.\n"
                      : "Most images per hour: one at a time on all of them.\n";
}

// The fastest that is surely faster than one at a time; that one where none is.
const Point& best_of(const std::vector<Point>& points) {
  const Point* best = &points.front();
  for (const Point& point : points) {
    if (point.over_one.low > 1 && point.rate.value > best->rate.value) best = &point;
  }
  return *best;
}

}  // namespace

ThreadsReport run_throughput(const ThreadsArguments& a, const Machine& machine, Progress& progress) {
  if (a.threads.size() > 1) fail("--mode throughput divides one number of CPUs: give --threads one number");
  const int cpus = a.threads.empty() ? machine.available : a.threads[0];
  std::vector<Point> points;
  // Side by side, programs have CPUs of their own unless that is not wanted.
  const Bind bind = bind_of(a).value_or(Bind::cores);
  for (Split& split : even_splits(machine.topology, cpus, bind)) {
    points.push_back({.split = std::move(split), .rounds = {}, .rate = {}, .over_one = {}});
  }
  const FitMaker make = [&](int n, const std::vector<CpuSet>& places) {
    return make_bench_fit(a.network, parse_size(a.network.size), n, places);
  };
  std::vector<Visit> visits;
  for (Point& point : points) {
    visits.emplace_back([&] {
      const SplitTiming timing = time_split(make, point.split, a.round_seconds);
      point.memory_bytes = timing.memory_bytes;
      return std::vector<double>{1 / timing.iterations_per_second};
    });
  }
  const LoadCounters before = read_load();
  const double start = now();
  progress.begin("rounds");
  const Rounds rounds =
      measure_in_rounds(visits, a.rounds, {.reference = reference_loop, .clock = now},
                        [&](const RoundProgress& at) { progress.show_share(at.share, now() - start); });
  progress.finish();
  const Load load = load_between(before, read_load());

  ThreadsReport report;
  constexpr double kHour = 3600;
  const double images = kHour / static_cast<double>(a.image_iterations);
  report.text =
      fmt::format("{:>10}  {:>7}  {:>20}  {:>25}  {:>8}\n", "instances", "threads", "it/s", "images/hour", "memory");
  report.csv =
      "instances,threads,iterations_per_second,iterations_per_second_low,iterations_per_second_high,images_per_hour,"
      "over_one,over_one_low,over_one_high,memory_bytes\n";
  report.json["image_iterations"] = a.image_iterations;
  report.json["points"] = Json::array();
  std::vector<FigurePoint> dots;
  double precision = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    Point& point = points[i];
    point.rounds = rounds.medians(i);
    const Interval seconds = median_interval(point.rounds);
    precision = std::max(precision, seconds.relative_width());
    point.rate = reciprocal(seconds);
    point.over_one = i == 0 ? Interval{.value = 1, .low = 1, .high = 1}
                            : ratio_interval(points[0].rounds, point.rounds, Pairing::same_rounds);
    const Interval hourly = scaled(point.rate, images);
    FigurePoint dot{.count = point.split.instances, .rate = hourly, .rounds = {}};
    for (const double x : point.rounds) dot.rounds.push_back(images / x);
    dots.push_back(std::move(dot));
    report.text += fmt::format("{:10}  {:7}  {:>20}  {:>25}  {:>8}\n", point.split.instances, point.split.threads,
                               text_of(point.rate), text_of(hourly, 1),
                               fmt::format("{:.0f} MiB", static_cast<double>(point.memory_bytes) / (1 << 20)));
    constexpr int kDigits = 4;
    report.csv +=
        fmt::format("{},{},{},{:.3f},{},{}\n", point.split.instances, point.split.threads, csv_of(point.rate, kDigits),
                    hourly.value, csv_of(point.over_one, kDigits), point.memory_bytes);
    std::vector<std::string> places;
    for (const CpuSet& cpu_set : point.split.places) places.push_back(cpu_list(cpu_set));
    report.json["points"].push_back(Json{{"name", name_of(point.split)},
                                         {"instances", point.split.instances},
                                         {"threads", point.split.threads},
                                         {"places", places},
                                         {"seconds", to_json(seconds)},
                                         {"round_seconds", point.rounds},
                                         {"iterations_per_second", to_json(point.rate)},
                                         {"images_per_hour", to_json(hourly)},
                                         {"over_one", to_json(point.over_one)},
                                         {"memory_bytes", point.memory_bytes}});
  }
  const Point& best = best_of(points);
  report.text += fmt::format("\n{} divided; an image is {} iterations. {}.\n", counted(cpus, "CPU"), a.image_iterations,
                             interval_note(rounds.count()));
  report.text += how_it_ended(a.rounds, rounds.ended, rounds.count(), rounds.seconds, precision) + "\n\n";
  report.text += verdict(points, best);
  if (!best.split.places.empty()) {
    report.text += fmt::format("Each is kept to CPUs of its own, as --jobs with --bind does (--bind {}).\n",
                               hourglass::name_of(bind));
  }
  const std::string disturbed = what_disturbed(load, rounds.reference);
  if (!disturbed.empty()) report.text += "\n" + disturbed + "\n";
  report.figure = throughput_figure(dots);
  // A folder's photographs: what is there already is skipped, and names may hold anything.
  const bool is_bound = !best.split.thread_places.empty();
  report.recommended = restore_command(a, {.input = "-r photos/",
                                           .threads = best.split.threads,
                                           .bind = is_bound ? bind : Bind::none,
                                           .jobs = best.split.instances});
  report.json["rounds"] = rounds.count();
  report.json["precision"] = precision;
  report.json["seconds"] = rounds.seconds;
  report.json["conditions"] = Json{{"others_cpus", load.others},
                                   {"stolen_cpus", load.stolen},
                                   {"throttled_share", load.throttled},
                                   {"preemptions_per_second", load.preemptions},
                                   {"load_average", load.load_average},
                                   {"reference_seconds", rounds.reference},
                                   {"disturbed", disturbed}};
  return report;
}

}  // namespace hourglass::cli
