#include "engine/measure/scaling.h"

#include <doctest/doctest.h>

#include <limits>
#include <mutex>
#include <set>

#include "engine/measure/machine.h"
#include "graph/error.h"
#include "tests/engine/measure/tiny_fit.h"

namespace hourglass::test {

TEST_CASE("quartiles interpolate between values") {
  const Spread spread = spread_of({4, 1, 3, 2});
  CHECK(spread.median == doctest::Approx(2.5));
  CHECK(spread.low == doctest::Approx(1.75));
  CHECK(spread.high == doctest::Approx(3.25));
  CHECK(spread_of({7}).median == 7);
  CHECK_THROWS_AS(spread_of({}), Error);
}

TEST_CASE("Amdahl's law is found again in timings that follow it") {
  const Amdahl truth{.seconds_one = 0.3, .serial_fraction = 0.07};
  std::vector<std::pair<int, double>> timings;
  for (const int n : {1, 2, 4, 12}) timings.emplace_back(n, truth.seconds(n));
  const Amdahl found = fit_amdahl(timings);
  CHECK(found.seconds_one == doctest::Approx(0.3));
  CHECK(found.serial_fraction == doctest::Approx(0.07));
  CHECK(found.speed_up(8) == doctest::Approx(1 / (0.07 + 0.93 / 8)));
  CHECK(found.limit() == doctest::Approx(1 / 0.07));
}

TEST_CASE("no part of the work is less than nothing") {
  const Amdahl faster = fit_amdahl({{1, 1.0}, {2, 0.4}});  // more than twice as fast
  CHECK(faster.serial_fraction == 0);
  CHECK(faster.limit() == std::numeric_limits<double>::infinity());
  const Amdahl slower = fit_amdahl({{1, 1.0}, {2, 1.5}});
  CHECK(slower.serial_fraction == 1);
  CHECK(slower.speed_up(64) == doctest::Approx(1));
  CHECK_THROWS_AS(fit_amdahl({{2, 1.0}, {2, 1.1}}), Error);
}

TEST_CASE("powers of two, and all") {
  CHECK(default_thread_counts(1) == std::vector<int>{1});
  CHECK(default_thread_counts(8) == std::vector<int>{1, 2, 4, 8});
  CHECK(default_thread_counts(6) == std::vector<int>{1, 2, 4, 6});
}

TEST_CASE("thread counts are timed in turn, with where the time goes") {
  int calls = 0;
  const std::vector<ThreadTiming> timings =
      time_threads(tiny_fit, {1, 2}, {.rounds = 3, .round_seconds = 0}, [&](int done, int total) {
        ++calls;
        CHECK(done == calls);
        CHECK(total == 6);
      });
  CHECK(calls == 6);
  REQUIRE(timings.size() == 2);
  for (const ThreadTiming& timing : timings) {
    CHECK(timing.iterations == 6);
    CHECK(timing.seconds.median > 0);
    CHECK(timing.seconds.low <= timing.seconds.median);
    CHECK(timing.memory_bytes > 0);
    CHECK(timing.op_seconds.contains("Conv"));
    CHECK(timing.op_seconds.contains("ConvGradWeights"));
    CHECK(timing.op_seconds.contains("Adam"));
  }
}

TEST_CASE("fits side by side add up, and an error in one of them comes out") {
  const SplitTiming split = time_split(tiny_fit, 2, 1, 0.05);
  CHECK(split.iterations_per_second > 0);
  const SplitTiming alone = time_split(tiny_fit, 1, 1, 0.01);
  CHECK(split.memory_bytes == 2 * alone.memory_bytes);
  const auto broken = [](int) -> std::unique_ptr<Fit> { fail("no such network"); };
  CHECK_THROWS_WITH_AS(time_split(broken, 2, 1, 0.01), "no such network", Error);
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

TEST_CASE("the machine has a name and CPUs") {
  const Machine machine = this_machine();
  CHECK_FALSE(machine.cpu.empty());
  CHECK(machine.available >= 1);
  CHECK(machine.available <= machine.limits.affinity);
  CHECK(machine.memory_bytes > 0);
  const std::string text = describe(machine);
  for (const std::string& part : {machine.cpu, machine.isa, machine.onednn, machine.openmp}) {
    CHECK_FALSE(part.empty());
    CHECK(text.find(part) != std::string::npos);
  }
  Machine limited = machine;
  limited.limits.affinity = 7;
  limited.limits.quota = 2.5;
  CHECK(describe(limited).find("(affinity 7, cgroup quota 2.5)") != std::string::npos);
}

}  // namespace hourglass::test
