#include "engine/measure/machine.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <filesystem>
#include <fstream>

#include "engine/measure/ceilings.h"
#include "engine/measure/load.h"
#include "engine/measure/parallel_regions.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

void put(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text << '\n';
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the instruction set has a name of x86 on x86 alone") {
  const std::string isa = this_machine().isa;
  CAPTURE(isa);
  const bool is_named = isa.starts_with("sse") || isa.starts_with("avx");
#if defined(__x86_64__)
  CHECK((is_named || isa.starts_with("instruction set 0x")));  // of a newer oneDNN
#else
  CHECK_FALSE(is_named);
  CHECK(isa.starts_with("instruction set 0x"));
#endif
}

TEST_CASE("the machine has a name and CPUs") {
  const Machine machine = this_machine();
  CHECK_FALSE(machine.cpu.empty());
  CHECK(machine.available >= 1);
  CHECK(machine.available <= machine.limits.affinity);
  CHECK(machine.memory_bytes > 0);
  const std::string text = describe(machine);
  for (const std::string& part : {machine.cpu, machine.isa, machine.onednn, machine.openmp, machine.kernel}) {
    CHECK_FALSE(part.empty());
    CHECK(has(text, part));
  }
  Machine limited = machine;
  limited.limits.affinity = 7;
  limited.limits.quota = 2.5;
  limited.clock = {.governor = "powersave", .boost = "on"};
  CHECK(has(describe(limited), "(affinity 7, cgroup quota 2.5)"));
  CHECK(has(describe(limited), "governor powersave, boost on"));
}

TEST_CASE("picture: packages, nodes, caches and cores, and what may not be used") {
  if (!read_topology().from_hwloc) {
    MESSAGE("built without hwloc: there is no picture");
    return;
  }
  const Topology topology = read_topology({.synthetic = "pack:2 numa:1 l3:2 core:2 pu:2", .usable = {{0, 1, 2, 8}}});
  const std::string text = picture(topology, 80);
  CAPTURE(text);
  CHECK(has(text, "package 0\n  node 0, "));
  CHECK(has(text, "package 1\n  node 1, "));
  CHECK(has(text, "      [0 1] [2 .]\n"));
  CHECK(has(text, "      [. .] [. .]\n"));
  CHECK(has(text, "      [8 .] [. .]\n"));
  const Topology wide = read_topology({.synthetic = "core:64 pu:2"});
  std::size_t widest = 0, at = 0;
  const std::string lines = picture(wide, 40);
  for (std::size_t end = 0; (end = lines.find('\n', at)) != std::string::npos; at = end + 1) {
    widest = std::max(widest, end - at);
  }
  CHECK(widest <= 40);
  CHECK(widest > 30);
}

TEST_CASE("clock: governor and boost as the kernel says them") {
  const TemporaryFolder folder;
  const std::string cpus = folder / "sys/devices/system/cpu/";
  CHECK(read_clock_control(folder / "").governor.empty());
  put(cpus + "cpu0/cpufreq/scaling_governor", "powersave");
  put(cpus + "cpu1/cpufreq/scaling_governor", "performance");
  put(cpus + "cpufreq/boost", "1");
  CHECK(read_clock_control(folder / "").governor == "performance, powersave");
  CHECK(read_clock_control(folder / "").boost == "on");
  put(cpus + "intel_pstate/no_turbo", "1");
  CHECK(read_clock_control(folder / "").boost == "off");
}

TEST_CASE("load: what others used is what all used less what this process did") {
  const TemporaryFolder folder;
  put(folder / "proc/stat", "cpu  100 0 100 5000 0 0 0 50 0 0\ncpu0 1 2 3");
  put(folder / "proc/loadavg", "7.25 3.5 2.1 3/500 12345");
  const LoadCounters counters = read_load(folder / "");
  CHECK(counters.load_average == 7.25);
  CHECK(counters.busy > 0);
  CHECK(counters.stolen == doctest::Approx(counters.busy / 4));
  const LoadCounters begin{
      .cpus = 4, .at = 10, .busy = 100, .stolen = 1, .own = 20, .preemptions = 5, .load_average = 3};
  const LoadCounters end{.at = 20, .busy = 135, .stolen = 6, .own = 40, .preemptions = 25, .load_average = 9};
  const Load load = load_between(begin, end);
  CHECK(load.others == doctest::Approx(1.5));
  CHECK(load.stolen == doctest::Approx(0.5));
  CHECK(load.preemptions == doctest::Approx(2));
  CHECK(load.load_average == 3);
  CHECK(has(describe(load), "other programs used 1.5 of 4 CPUs, the hypervisor kept back 0.5"));
  CHECK(describe(Load{.cpus = 4, .others = 0.1, .load_average = 5}).empty());
  CHECK(read_load(folder / "elsewhere").busy == 0);
}

TEST_CASE("load: of a large machine, only what happens on the CPUs that this process may use") {
  const TemporaryFolder folder;
  // 62 CPUs at work and two at rest.
  std::string stat = "cpu  62000 0 0 2000 0 0 0 620 0 0\n";
  for (int cpu = 0; cpu < 64; ++cpu) {
    stat += cpu == 3 || cpu == 40 ? "cpu" + std::to_string(cpu) + " 100 0 0 900 0 0 0 0 0 0\n"
                                  : "cpu" + std::to_string(cpu) + " 1000 0 0 0 0 0 0 10 0 0\n";
  }
  put(folder / "proc/stat", stat + "intr 12345 6");
  const double all = read_load(folder / "", {}).busy;
  CHECK(read_load(folder / "", {3, 40}).busy == doctest::Approx(all * 200 / 62000));
  CHECK(read_load(folder / "", {3, 40}).stolen == 0);
  CHECK(read_load(folder / "", {3, 40}).cpus == 2);
  CHECK(read_load(folder / "", {}).cpus == 64);
  // A busy machine beside two quiet CPUs, and two busy CPUs of a large one.
  CHECK(describe({.cpus = 2, .others = 0.01}).empty());
  CHECK(has(describe({.cpus = 2, .others = 0.3}), "other programs used 0.3 of 2 CPUs"));
  CHECK(describe({.cpus = 64, .others = 0.3}).empty());
  CHECK(read_load(folder / "", {0, 3}).busy == doctest::Approx(all * 1100 / 62000));
  // A container that shows other numbers than the system's: then all that it shows.
  CHECK(read_load(folder / "", {100, 101}).busy == all);
}

TEST_CASE("load: time for which the cgroups held threads back") {
  const TemporaryFolder folder;
  put(folder / "proc/self/cgroup", "0::/box");
  put(folder / "sys/fs/cgroup/box/cpu.stat", "usage_usec 900\nnr_periods 4\nthrottled_usec 2500000");
  CHECK(read_load(folder / "").throttled == doctest::Approx(2.5));
  put(folder / "proc/self/cgroup", "4:cpu,cpuacct:/old");
  put(folder / "sys/fs/cgroup/cpu,cpuacct/old/cpu.stat", "nr_periods 4\nnr_throttled 2\nthrottled_time 3000000000");
  CHECK(read_load(folder / "").throttled == doctest::Approx(3));
  const Load load = load_between({.cpus = 2, .at = 0, .throttled = 1}, {.at = 10, .throttled = 6});
  CHECK(load.throttled == doctest::Approx(0.5));
  CHECK(has(describe(load), "the cgroup's quota held threads back for 50 % of the time"));
}

TEST_CASE("ceilings: arrays are four times the caches, as far as there is memory") {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  CHECK(triad_bytes(32 << 20, 64 * 1024 * kMiB) == 128 * kMiB);
  CHECK(triad_bytes(0, 64 * 1024 * kMiB) == 128 * kMiB);
  CHECK(triad_bytes(int64_t{1} << 30, 1024 * 1024 * kMiB) == 1024 * kMiB);
  CHECK(triad_bytes(32 << 20, 400 * kMiB) == 50 * kMiB);
  CHECK(triad_bytes(32 << 20, 1) == 16 * kMiB);
}

TEST_CASE("ceilings: what a team does counts from the first thread that begins, and not from its waking") {
  // Woken at 0 and at work from 5 to 8: three seconds, however long it took to begin.
  CHECK(seconds_of({{.begin = 5, .end = 7}, {.begin = 6, .end = 8}}) == 3);
  // Two threads on one CPU, one after the other: all of the time, not half.
  CHECK(seconds_of({{.begin = 6, .end = 7}, {.begin = 5, .end = 6}}) == 2);
  CHECK(seconds_of({{.begin = 1, .end = 1.5}}) == 0.5);
}

TEST_CASE("ceilings: a team that is smaller than asked for comes to an end, as does one larger than the machine") {
  const int cpus = omp_get_num_procs();
  CHECK(measure_ceiling(4 * cpus + 1, {}, std::size_t{1} << 20, 0.001).gflops > 0);
  omp_set_dynamic(1);  // libgomp: as many as the load leaves
  CHECK(measure_ceiling(4 * cpus, {}, std::size_t{1} << 20, 0.001).gflops > 0);
  omp_set_dynamic(0);
}

TEST_CASE("ceilings: the machine multiplies, moves memory, and the loop takes time") {
  const Ceiling ceiling = measure_ceiling(2, {}, std::size_t{16} << 20, 0.001);
  CHECK(ceiling.threads == 2);
  CHECK(ceiling.gflops > 0.1);
  CHECK(ceiling.gbytes > 0.1);
  CHECK(reference_loop() > 0);
}

TEST_CASE("regions: those of this thread are counted while it is asked, and no others") {
  if (!RegionClock::counts()) {
    MESSAGE("this OpenMP begins regions in a way that is not seen");
    return;
  }
  const auto region = [] {
    int sum = 0;
#pragma omp parallel num_threads(2) reduction(+ : sum)
    ++sum;
    return sum;
  };
  RegionClock clock;
  CHECK(region() == 2);
  CHECK(region() == 2);
  const Regions two = clock.take();
  CHECK(two.count == 2);
  CHECK(two.busy >= 0);
  CHECK(two.busy <= two.parallel);
  CHECK(clock.take().count == 0);
  {
    RegionClock inner;
    region();
    CHECK(inner.take().count == 1);
  }
  CHECK(clock.take().count == 0);
}

}  // namespace hourglass::test
