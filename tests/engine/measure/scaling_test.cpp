#include "engine/measure/scaling.h"

#include <doctest/doctest.h>

#include "engine/measure/parallel_regions.h"
#include "engine/measure/side_by_side.h"
#include "graph/error.h"
#include "tests/engine/measure/tiny_fit.h"

#include <mutex>
#include <set>

namespace hourglass::test {
namespace {

const auto kQuiet = [](const std::string&, const RoundProgress&) {};

ScalingOptions short_run(std::vector<int> threads) {
  ScalingOptions options;
  options.threads = std::move(threads);
  options.bind = Bind::none;
  options.rounds.rounds = 3;
  options.round_seconds = 0;
  options.memory = std::size_t{1} << 30;
  options.array_bytes = std::size_t{1} << 20;
  return options;
}

}  // namespace

TEST_CASE("scaling: each number of threads in each round, with where the time goes") {
  std::set<std::string> stages;
  const ScalingRun run = measure_scaling(tiny_fit, read_topology(), short_run({1, 2}),
                                         [&](const std::string& stage, const RoundProgress&) { stages.insert(stage); });
  CHECK(stages == std::set<std::string>{"ceilings", "rounds"});
  CHECK(run.rounds == 3);
  CHECK(run.ended == Ended::as_asked);
  CHECK(run.reference.size() == 7);
  REQUIRE(run.points.size() == 2);
  REQUIRE(run.laws.has_value());
  for (const ScalingPoint& point : run.points) {
    CHECK(point.rounds.size() == 3);
    CHECK(point.iterations == 6);
    CHECK(point.warm_up >= 3);
    CHECK(point.seconds.low <= point.seconds.value);
    CHECK(point.memory_bytes > 0);
    CHECK(point.ceiling.gflops > 0);
    // By op, all of it and no more.
    double sum = 0;
    for (const auto& [op, at] : point.ops) {
      CHECK(at.activity.busy <= at.activity.parallel * (1 + 1e-9));
      CHECK(at.activity.parallel <= at.activity.seconds * (1 + 1e-9));
      sum += at.activity.seconds;
    }
    CHECK(sum == doctest::Approx(point.whole.seconds));
    for (const char* op : {"Conv", "ConvGradWeights", "Adam", "Noise"}) CHECK(point.ops.contains(op));
    CHECK(point.ops.at("Conv").work.flops == 2.0 * 3 * 3 * 3 * 8 * 16 * 16);
    if (RegionClock::counts()) CHECK(point.whole.parallel > 0);
  }
  CHECK(run.points[0].speed_up.value == 1);
  CHECK(run.points[1].efficiency.value == doctest::Approx(run.points[1].speed_up.value / 2));
}

TEST_CASE("scaling: fits that find no room are made anew in each round") {
  int made = 0;
  const FitMaker counting = [&](int threads, const std::vector<CpuSet>& places) {
    ++made;
    return tiny_fit(threads, places);
  };
  measure_scaling(counting, read_topology(), short_run({1, 2}), kQuiet);
  CHECK(made == 2);
  ScalingOptions tight = short_run({1, 2});
  tight.memory = 1;
  measure_scaling(counting, read_topology(), tight, kQuiet);
  CHECK(made == 2 + 6);
}

TEST_CASE("scaling: bindings are tried at the most threads, and a growing image counts its pixels") {
  ScalingOptions options = short_run({1, 2});
  options.bind.reset();
  options.work = {100, 200};
  const ScalingRun run = measure_scaling(tiny_fit, read_topology(), options, kQuiet);
  CHECK(run.bind.tried.size() == distinct_binds(read_topology(), 2).size() - 1);
  CHECK(run.grows);
  CHECK_FALSE(run.laws.has_value());
  CHECK(run.points[1].work == 2);
  CHECK(run.points[1].speed_up.value == doctest::Approx(2 * run.points[0].seconds.value / run.points[1].seconds.value));
}

TEST_CASE("scaling: an error in making a fit comes out") {
  const FitMaker broken = [](int, const std::vector<CpuSet>&) -> std::unique_ptr<Fit> { fail("no such network"); };
  CHECK_THROWS_WITH_AS(measure_scaling(broken, read_topology(), short_run({1}), kQuiet), "no such network", Error);
}

TEST_CASE("thread counts: powers of two, where the machine changes, and all") {
  Topology flat;
  for (int i = 0; i < 8; ++i) flat.threads.push_back({.cpu = i, .core = i});
  CHECK(thread_counts(flat, 1) == std::vector<int>{1});
  CHECK(thread_counts(flat, 8) == std::vector<int>{1, 2, 4, 8});
  CHECK(thread_counts(flat, 6) == std::vector<int>{1, 2, 4, 6});
  if (!read_topology().from_hwloc) return;
  const Topology sockets = read_topology({.synthetic = "pack:2 core:12 pu:2"});
  CHECK(thread_counts(sockets, 48) == std::vector<int>{1, 2, 4, 8, 12, 16, 24, 32, 48});
  CHECK(thread_counts(sockets, 3) == std::vector<int>{1, 2, 3});
}

TEST_CASE("fits side by side add up, and an error in one of them comes out") {
  const SplitTiming split = time_split(tiny_fit, {.instances = 2, .threads = 1}, 0.05);
  CHECK(split.iterations_per_second > 0);
  const SplitTiming alone = time_split(tiny_fit, {.instances = 1, .threads = 1}, 0.01);
  CHECK(split.memory_bytes == 2 * alone.memory_bytes);
  const auto broken = [](int, const std::vector<CpuSet>&) -> std::unique_ptr<Fit> { fail("no such network"); };
  CHECK_THROWS_WITH_AS(time_split(broken, {.instances = 2, .threads = 1}, 0.01), "no such network", Error);
}

TEST_CASE("every even division of the CPUs, each program on CPUs of its own") {
  Topology flat;
  for (int i = 0; i < 6; ++i) flat.threads.push_back({.cpu = i, .core = i});
  const std::vector<Split> splits = even_splits(flat, 6, Bind::cores);
  REQUIRE(splits.size() == 4);
  CHECK(splits[0].instances == 1);
  CHECK(splits[0].places.empty());
  CHECK(splits[1].instances == 2);
  CHECK(splits[1].places == std::vector<CpuSet>{{0, 1, 2}, {3, 4, 5}});
  CHECK(splits[3].instances == 6);
  const std::vector<Split> many = even_splits(flat, 12, Bind::cores);  // more than there are
  CHECK(many[1].places.empty());
  CHECK(many[1].thread_places.empty());
  for (const Split& split : even_splits(flat, 6, Bind::none)) {
    CHECK(split.places.empty());
    CHECK(split.thread_places.empty());
  }
}

TEST_CASE("programs side by side bind their threads within CPUs that are theirs alone") {
  if (!read_topology().from_hwloc) {
    MESSAGE("built without hwloc: synthetic machines can't be made");
    return;
  }
  const Topology machine = read_topology({.synthetic = "pack:2 numa:4 l3:1 core:8 pu:2"});  // 64 cores on 8 nodes
  for (const Bind bind : {Bind::cores, Bind::threads, Bind::spread, Bind::nodes}) {
    CAPTURE(name_of(bind));
    for (const Split& split : even_splits(machine, 64, bind)) {
      CAPTURE(split.instances);
      REQUIRE(split.thread_places.size() == static_cast<std::size_t>(split.instances));
      std::set<int> taken;
      std::size_t cpus = 0;
      for (std::size_t i = 0; i < split.thread_places.size(); ++i) {
        CHECK(split.thread_places[i].size() == static_cast<std::size_t>(split.threads));
        std::set<int> own;
        for (const CpuSet& place : split.thread_places[i]) own.insert(place.begin(), place.end());
        taken.insert(own.begin(), own.end());
        cpus += own.size();
      }
      CHECK(taken.size() == cpus);  // nobody shares
    }
  }
}

TEST_CASE("runs are divided among the threads as is fastest, and as the memory allows") {
  std::set<std::pair<int, int>> asked;
  std::mutex mutex;
  const ShareMaker make = [&](int at_once, int threads) {
    const std::lock_guard lock(mutex);
    asked.emplace(at_once, threads);
    return tiny_fit(threads);
  };
  CHECK(best_split(make, 1, 4, 0.03) == 1);
  CHECK(best_split(make, 8, 1, 0.03) == 1);
  CHECK(asked.empty());  // there is no choice
  const int of_five = best_split(make, 5, 4, 0.03);
  // Four at once take two turns for five runs, as three do.
  CHECK(asked == std::set<std::pair<int, int>>{{1, 4}, {2, 2}, {3, 1}});
  CHECK(of_five >= 1);
  CHECK(of_five <= 3);
  const ShareMaker narrow = [&](int at_once, int threads) {
    if (at_once > 1) fail("the memory is for one");
    return tiny_fit(threads);
  };
  CHECK(best_split(narrow, 4, 2, 0.03) == 1);
  const ShareMaker broken = [](int, int) -> std::unique_ptr<Fit> { fail("no such network"); };
  CHECK_THROWS_WITH_AS(best_split(broken, 4, 2, 0.03), "no such network", Error);
}

}  // namespace hourglass::test
