#include "engine/runtime/waiting.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "engine/runtime/waiting_rule.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using namespace std::chrono_literals;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// CPU time that this process takes while a thread of two waits a fifth of a second for the other.
double cpu_of_waiting() {
  const double before = cpu_seconds();
#pragma omp parallel num_threads(2)
  if (omp_get_thread_num() == 0) std::this_thread::sleep_for(200ms);
  return cpu_seconds() - before;
}

}  // namespace

TEST_CASE("the time without a CPU is that of all threads") {
  const TemporaryFolder folder;
  CHECK_FALSE(seconds_without_cpu(folder / "gone"));
  for (const auto& [id, text] : {std::pair{"71", "5000000 1500000000 12"}, {"72", "9000000 250000000 3"}}) {
    const std::filesystem::path thread = std::filesystem::path(folder / "task") / id;
    std::filesystem::create_directories(thread);
    std::ofstream(thread / "schedstat") << text << '\n';
  }
  REQUIRE(seconds_without_cpu(folder / ""));
  CHECK(*seconds_without_cpu(folder / "") == doctest::Approx(1.75));
  // A kernel that does not count says zero of all.
  for (const char* id : {"71", "72"}) {
    std::ofstream(std::filesystem::path(folder / "task") / id / "schedstat") << "0 0 0\n";
  }
  CHECK_FALSE(seconds_without_cpu(folder / ""));
}

// A machine on which a run of a plan takes the one time while threads spin, the other while they sleep.
struct Simulation {
  double spinning = 0.02, sleeping = 0.04;  // seconds
  double share = 0;                         // of the time for which threads lack a CPU

  WaitingRule rule{};
  double done = 0;  // of the run under way
  bool asleep = false;

  // The part of the time for which the rule lets threads sleep.
  double run(double seconds) {
    constexpr double kInterval = 0.02;
    double asleep_seconds = 0;
    for (double time = 0; time < seconds; time += kInterval) {
      done += kInterval / (asleep ? sleeping : spinning);
      const auto runs = static_cast<int64_t>(done);
      done -= static_cast<double>(runs);
      asleep_seconds += asleep ? kInterval : 0;
      asleep = rule.sleep_after(kInterval, share, runs);
    }
    return asleep_seconds / seconds;
  }
};

TEST_CASE("on an idle machine nothing but spinning is tried") {
  Simulation machine;
  CHECK(machine.run(10) == 0);
}

TEST_CASE("on a busy machine threads soon wait in the way in which plans run faster") {
  Simulation machine{.spinning = 0.5, .sleeping = 0.1, .share = 0.6};
  machine.run(5);
  CHECK(machine.run(60) > 0.9);

  machine = {.spinning = 0.04, .sleeping = 0.06, .share = 0.4};
  machine.run(5);
  CHECK(machine.run(60) < 0.1);

  machine = {.spinning = 0.04, .sleeping = 2, .share = 0.4};
  CHECK(machine.run(60) < 0.2);  // such tries are given up
}

TEST_CASE("what becomes faster meanwhile is found") {
  Simulation machine{.spinning = 0.1, .sleeping = 0.05, .share = 0.5};
  machine.run(5);
  CHECK(machine.run(20) > 0.9);
  machine.share = 0;
  machine.spinning = 0.02;
  machine.run(2);
  CHECK(machine.run(20) == 0);
  machine.share = 0.5;
  machine.spinning = 0.1;
  machine.run(20);
  CHECK(machine.run(20) > 0.9);
}

// The tests `waiting_spinning` and `waiting_adaptive` run these two, with threads that spin for ever and with threads
// that wait as the program lets them.
TEST_CASE("waiting: teams that spin sleep as long as it is asked for") {
  cpu_of_waiting();  // the team starts
  const double spinning = cpu_of_waiting();
  if (spinning < 0.05) {
    MESSAGE("skipped: threads don't spin here");
    return;
  }
  {
    const SleepingTeams sleeping(2);
    cpu_of_waiting();
    CHECK(cpu_of_waiting() < spinning / 4);
  }
  cpu_of_waiting();
  CHECK(cpu_of_waiting() > spinning / 4);
}

TEST_CASE("waiting: where others want the CPUs, sleeping is tried") {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || !seconds_without_cpu()) {
    MESSAGE("skipped: the environment says how threads wait, or the system does not count what they lack");
    return;
  }
  const AdaptiveWaiting one(1), two(2);
  std::atomic<bool> go_on = true;
  std::vector<std::jthread> others;
  for (int i = 0; i < 3 * omp_get_num_procs(); ++i) {
    others.emplace_back([&] {
      while (go_on) {
      }
    });
  }
  using Clock = std::chrono::steady_clock;
  for (const auto start = Clock::now(); two.seconds_asleep() == 0 && Clock::now() - start < 60s;) {
    std::atomic<int> turns = 0;
#pragma omp parallel num_threads(2)
    for (int i = 0; i < 100000; ++i) turns += omp_get_thread_num();
    count_run();
  }
  go_on = false;
  CHECK(two.seconds_asleep() > 0);
  CHECK(one.seconds_asleep() == 0);
}

}  // namespace hourglass::test
