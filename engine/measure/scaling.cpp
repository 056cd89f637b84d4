#include "engine/measure/scaling.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "engine/measure/parallel_regions.h"
#include "engine/runtime/worker.h"

namespace hourglass {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

RoundTools tools() { return {.reference = reference_loop, .clock = now}; }

using Points = std::vector<std::unique_ptr<FitPoint>>;

Rounds visit_all(const Points& points, const RoundOptions& options, const std::string& stage,
                 const ScalingProgress& progress) {
  std::vector<Visit> visits;
  for (const auto& point : points) visits.emplace_back([&point] { return point->visit(); });
  return measure_in_rounds(visits, options, tools(), [&](const RoundProgress& so_far) { progress(stage, so_far); });
}

// At the most threads, in a sixth of the time.
BindChoice choose_bind(const FitMaker& make, const Topology& topology, const ScalingOptions& options,
                       const ScalingProgress& progress) {
  const int threads = options.threads.back();
  const std::vector<Bind> binds = distinct_binds(topology, threads);
  BindChoice choice;
  if (options.bind || binds.size() == 1) {
    choice.bind = options.bind.value_or(Bind::none);
    return choice;
  }
  HeldMemory held{.most = options.memory};
  Points points;
  for (const Bind bind : binds) {
    points.push_back(std::make_unique<FitPoint>(FitPoint::Options{.make = make,
                                                                  .threads = threads,
                                                                  .places = place_threads(topology, bind, threads),
                                                                  .round_seconds = options.round_seconds},
                                                held));
  }
  constexpr double kShare = 1.0 / 6;
  RoundOptions rounds = options.rounds;
  rounds.time_limit *= kShare;
  const Rounds measured = visit_all(points, rounds, "binding", progress);
  for (std::size_t i = 1; i < binds.size(); ++i) {
    choice.tried[binds[i]] = ratio_interval(measured.medians(i), measured.medians(0), Pairing::same_rounds);
  }
  choice.bind = fastest_bind(choice.tried);
  return choice;
}

// Once before the rounds and once after: the better of both is what the machine can do.
void measure_ceilings(const Topology& topology, const ScalingOptions& options, Bind bind,
                      std::vector<Ceiling>& ceilings, const ScalingProgress& progress) {
  ceilings.resize(options.threads.size());
  for (std::size_t i = 0; i < options.threads.size(); ++i) {
    const int threads = options.threads[i];
    Worker worker;
    Ceiling ceiling;
    worker.begin(
        [&] { ceiling = measure_ceiling(threads, place_threads(topology, bind, threads), options.array_bytes); });
    worker.wait();
    ceilings[i] = {.threads = threads,
                   .gflops = std::max(ceilings[i].gflops, ceiling.gflops),
                   .gbytes = std::max(ceilings[i].gbytes, ceiling.gbytes)};
    progress("ceilings", {.share = static_cast<double>(i + 1) / static_cast<double>(options.threads.size())});
  }
}

Interval scaled(const Interval& interval, double factor) {
  return {.value = interval.value * factor, .low = interval.low * factor, .high = interval.high * factor};
}

ScalingPoint point_of(const FitPoint& fit, const Rounds& rounds, std::size_t i) {
  const std::vector<double> all = rounds.all(i);
  ScalingPoint point{.threads = fit.threads(),
                     .rounds = rounds.medians(i),
                     .samples = rounds.samples[i],
                     .seconds = {},
                     .spread = spread_of(all),
                     .iterations = static_cast<int64_t>(all.size()),
                     .far_out = far_out(all),
                     .speed_up = {},
                     .efficiency = {},
                     .warm_up = fit.warm_up_iterations(),
                     .memory_bytes = fit.memory_bytes(),
                     .whole = fit.whole(),
                     .ops = {},
                     .ceiling = {}};
  point.seconds = median_interval(point.rounds);
  for (const auto& [op, activity] : fit.ops()) {
    const auto work = fit.work().find(op);
    point.ops[op] = {.activity = activity, .work = work == fit.work().end() ? FitPoint::OpWork{} : work->second};
  }
  return point;
}

// Where others get in the way: the CPUs that so many threads are bound to, or all that they may run on.
CpuSet cpus_used(const Topology& topology, Bind bind, int threads) {
  std::set<int> cpus;
  for (const CpuSet& place : place_threads(topology, bind, threads)) cpus.insert(place.begin(), place.end());
  if (!cpus.empty()) return {cpus.begin(), cpus.end()};
  return affinity_cpus();
}

}  // namespace

Bind fastest_bind(const std::map<Bind, Interval>& tried) {
  Bind best = Bind::none;
  double seconds = 1;
  for (const auto& [bind, ratio] : tried) {
    if (ratio.high < 1 && ratio.value < seconds) best = bind, seconds = ratio.value;
  }
  return best;
}

std::vector<int> thread_counts(const Topology& topology, int cpus) {
  std::set<int> counts{cpus};
  for (int n = 1; n < cpus; n *= 2) counts.insert(n);
  for (const Landmark& mark : landmarks(topology)) {
    if (mark.threads < cpus) counts.insert(mark.threads);
  }
  return {counts.begin(), counts.end()};
}

ScalingRun measure_scaling(const FitMaker& make, const Topology& topology, const ScalingOptions& options,
                           const ScalingProgress& progress) {
  ScalingRun run;
  run.regions_seen = RegionClock::counts();
  run.grows = !options.work.empty();
  const double start = now();
  const double load_average = read_load().load_average;
  run.bind = choose_bind(make, topology, options, progress);
  std::vector<Ceiling> ceilings;
  const CpuSet cpus = cpus_used(topology, run.bind.bind, options.threads.back());
  LoadCounters before = read_load("", cpus);
  before.load_average = load_average;  // which would count this program's threads too by now
  const double bound = now();
  measure_ceilings(topology, options, run.bind.bind, ceilings, progress);
  HeldMemory held{.most = options.memory};
  Points fits;
  for (const int threads : options.threads) {
    fits.push_back(
        std::make_unique<FitPoint>(FitPoint::Options{.make = make,
                                                     .threads = threads,
                                                     .places = place_threads(topology, run.bind.bind, threads),
                                                     .round_seconds = options.round_seconds},
                                   held));
  }
  // All of it within the limit: the rounds get what is left, and the ceilings once more at the end.
  RoundOptions left = options.rounds;
  const double ceilings_took = now() - bound;
  left.time_limit = std::max(0.0, left.time_limit - (now() - start) - ceilings_took);
  const Rounds rounds = visit_all(fits, left, "rounds", progress);
  measure_ceilings(topology, options, run.bind.bind, ceilings, progress);
  run.load = load_between(before, read_load("", cpus));
  run.ended = rounds.ended;
  run.seconds = now() - start;
  run.rounds = rounds.count();
  run.reference = rounds.reference;
  std::vector<LawPoint> law_points;
  for (std::size_t i = 0; i < fits.size(); ++i) {
    ScalingPoint point = point_of(*fits[i], rounds, i);
    point.ceiling = ceilings[i];
    point.work = run.grows ? options.work[i] / options.work[0] : 1;
    point.speed_up = i == 0
                         ? Interval{.value = 1, .low = 1, .high = 1}
                         : scaled(ratio_interval(run.points[0].rounds, point.rounds, Pairing::same_rounds), point.work);
    point.efficiency =
        scaled(point.speed_up, static_cast<double>(options.threads[0]) / static_cast<double>(point.threads));
    law_points.push_back({.threads = point.threads, .rounds = point.rounds});
    run.points.push_back(std::move(point));
  }
  if (!run.grows && law_points.size() > 1) run.laws = choose_law(law_points);
  return run;
}

}  // namespace hourglass
