// The machine's topology and where threads are placed on it, on machines that hwloc makes up.
#include "engine/runtime/topology.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <numeric>
#include <set>
#include <thread>

#include "engine/runtime/placement.h"
#include "engine/runtime/team.h"
#include "graph/error.h"

namespace hourglass::test {
namespace {

// Empty where the build has no hwloc: then nothing of this can be made up.
std::optional<Topology> machine(const std::string& synthetic, std::optional<std::vector<int>> usable = {}) {
  if (!read_topology().from_hwloc) {
    MESSAGE("built without hwloc: synthetic machines can't be made");
    return {};
  }
  return read_topology({.synthetic = synthetic, .usable = std::move(usable)});
}

// hwloc numbers a synthetic machine's hardware threads core by core.
constexpr const char* kTwoSockets = "pack:2 numa:1 l3:4 core:8 pu:2";  // 2 x 32 cores with SMT

const HardwareThread& of(const Topology& topology, int cpu) {
  for (const HardwareThread& thread : topology.threads) {
    if (thread.cpu == cpu) return thread;
  }
  FAIL("no such CPU");
  return topology.threads[0];
}

std::set<int> cores_of(const Topology& topology, const std::vector<CpuSet>& places) {
  std::set<int> cores;
  for (const CpuSet& place : places) {
    for (const int cpu : place) cores.insert(of(topology, cpu).core);
  }
  return cores;
}

std::set<int> nodes_of(const Topology& topology, const std::vector<CpuSet>& places) {
  std::set<int> nodes;
  for (const CpuSet& place : places) {
    for (const int cpu : place) nodes.insert(of(topology, cpu).node);
  }
  return nodes;
}

}  // namespace

TEST_CASE("topology: two sockets of 32 cores with SMT") {
  const auto topology = machine(kTwoSockets);
  if (!topology) return;
  CHECK(topology->packages == 2);
  CHECK(topology->nodes == 2);
  CHECK(topology->cores == 64);
  CHECK(topology->last_caches == 8);
  REQUIRE(topology->threads.size() == 128);
  CHECK(topology->usable_cores() == 64);
  CHECK(of(*topology, 0).core == of(*topology, 1).core);
  CHECK(of(*topology, 0).sibling == 0);
  CHECK(of(*topology, 1).sibling == 1);
  CHECK(of(*topology, 63).package == 0);
  CHECK(of(*topology, 64).package == 1);
  CHECK(of(*topology, 64).node == 1);
  CHECK(of(*topology, 16).last_cache == 1);
  REQUIRE(topology->caches.size() == 1);
  CHECK(topology->caches[0].name == "L3");
  CHECK(topology->caches[0].hardware_threads == 16);
  CHECK(topology->node_bytes.size() == 2);
  CHECK(topology->last_cache_bytes() == 8 * topology->caches[0].bytes);
}

TEST_CASE("topology: what the affinity mask leaves out is seen and not used") {
  std::vector<int> usable(7);
  std::iota(usable.begin(), usable.end(), 3);  // 3 to 9: half of core 1, cores 2 to 4
  const auto topology = machine(kTwoSockets, usable);
  if (!topology) return;
  CHECK(topology->threads.size() == 128);
  CHECK(topology->usable().size() == 7);
  CHECK(topology->usable_cores() == 4);
  for (const Bind bind : kBinds) {
    for (const CpuSet& place : place_threads(*topology, bind, 9)) {
      CHECK_FALSE(place.empty());
      for (const int cpu : place) CHECK((cpu >= 3 && cpu <= 9));
    }
  }
  CHECK_THROWS_AS(machine(kTwoSockets, std::vector<int>{500}), Error);
}

TEST_CASE("topology: a text that is no machine is refused") {
  if (!read_topology().from_hwloc) return;
  CHECK_THROWS_WITH_AS(read_topology({.synthetic = "two sockets"}), doctest::Contains("'two sockets' is no machine"),
                       Error);
}

TEST_CASE("topology: this machine has at least the CPUs of its affinity mask") {
  const Topology topology = read_topology();
  std::set<int> cpus;
  for (const HardwareThread& cpu : topology.usable()) cpus.insert(cpu.cpu);
  const std::vector<int> allowed = affinity_cpus();
  CHECK(cpus == std::set<int>(allowed.begin(), allowed.end()));
  CHECK(topology.usable_cores() <= static_cast<int>(cpus.size()));
}

TEST_CASE("placement: every core gets a thread before any gets a second one") {
  const auto topology = machine(kTwoSockets);
  if (!topology) return;
  for (const Bind bind : {Bind::cores, Bind::threads, Bind::spread}) {
    CAPTURE(name_of(bind));
    for (const int threads : {1, 2, 31, 32, 33, 64}) {
      const std::vector<CpuSet> places = place_threads(*topology, bind, threads);
      REQUIRE(places.size() == static_cast<std::size_t>(threads));
      CHECK(cores_of(*topology, places).size() == static_cast<std::size_t>(threads));
    }
    CHECK(cores_of(*topology, place_threads(*topology, bind, 128)).size() == 64);
  }
  // All 128 hardware threads, once each.
  std::set<int> single;
  for (const CpuSet& place : place_threads(*topology, Bind::threads, 128)) {
    REQUIRE(place.size() == 1);
    single.insert(place[0]);
  }
  CHECK(single.size() == 128);
  CHECK(place_threads(*topology, Bind::none, 8).empty());
}

TEST_CASE("placement: neighbours share a node, spread threads do not") {
  const auto topology = machine(kTwoSockets);
  if (!topology) return;
  CHECK(nodes_of(*topology, place_threads(*topology, Bind::cores, 32)).size() == 1);
  CHECK(nodes_of(*topology, place_threads(*topology, Bind::cores, 33)).size() == 2);
  CHECK(nodes_of(*topology, place_threads(*topology, Bind::spread, 2)).size() == 2);
  // Eight threads: one for each of the eight last-level caches.
  std::set<int> caches;
  for (const CpuSet& place : place_threads(*topology, Bind::spread, 8)) {
    caches.insert(of(*topology, place[0]).last_cache);
  }
  CHECK(caches.size() == 8);
  // On nodes: one node while it has a core for each thread, then both, half of the threads on each.
  const std::vector<CpuSet> few = place_threads(*topology, Bind::nodes, 32);
  CHECK(nodes_of(*topology, few).size() == 1);
  CHECK(few[0].size() == 64);
  const std::vector<CpuSet> many = place_threads(*topology, Bind::nodes, 40);
  REQUIRE(many.size() == 40);
  CHECK(many[19] == many[0]);
  CHECK(many[20] != many[19]);
}

TEST_CASE("placement: eight nodes are filled one after another, or in turn") {
  const auto topology = machine("numa:8 core:6 pu:1");
  if (!topology) return;
  CHECK(topology->nodes == 8);
  CHECK(nodes_of(*topology, place_threads(*topology, Bind::cores, 6)).size() == 1);
  CHECK(nodes_of(*topology, place_threads(*topology, Bind::spread, 8)).size() == 8);
  CHECK(nodes_of(*topology, place_threads(*topology, Bind::nodes, 13)).size() == 3);
  CHECK(place_threads(*topology, Bind::nodes, 13).size() == 13);
  CHECK(place_threads(*topology, Bind::nodes, 100).size() == 100);
}

TEST_CASE("placement: one core leaves no choice") {
  const auto topology = machine("core:1 pu:1");
  if (!topology) return;
  CHECK(distinct_binds(*topology, 1) == std::vector<Bind>{Bind::none});
  CHECK(distinct_binds(*topology, 3) == std::vector<Bind>{Bind::none});
  for (const Bind bind : {Bind::cores, Bind::threads, Bind::spread, Bind::nodes}) {
    CHECK(place_threads(*topology, bind, 3) == std::vector<CpuSet>(3, CpuSet{0}));
  }
  CHECK(landmarks(*topology).empty());
  CHECK(split_cpus(*topology, 2, 1).empty());
}

TEST_CASE("placement: a quota of 3 of 64 CPUs keeps to three cores of one cache") {
  const auto topology = machine("pack:2 l3:4 core:8 pu:1");
  if (!topology) return;
  const std::vector<CpuSet> places = place_threads(*topology, Bind::cores, 3);
  CHECK(places == std::vector<CpuSet>{{0}, {1}, {2}});
  // Three by three programs, each within a cache of eight cores as far as that goes.
  CHECK(split_cpus(*topology, 2, 3) == std::vector<CpuSet>{{0, 1, 2}, {3, 4, 5}});
}

TEST_CASE("placement: bindings that mean the same here are asked about once") {
  const auto two_sockets = machine(kTwoSockets), flat = machine("core:4 pu:1");
  if (!flat) return;
  CHECK(distinct_binds(*flat, 4) == std::vector<Bind>{Bind::none, Bind::cores});
  CHECK(distinct_binds(*two_sockets, 32) ==
        std::vector<Bind>{Bind::none, Bind::cores, Bind::threads, Bind::spread, Bind::nodes});
}

TEST_CASE("placement: programs side by side get disjoint CPUs, whole cores where there are enough") {
  const auto topology = machine(kTwoSockets);
  if (!topology) return;
  for (const auto& [instances, threads] : {std::pair{4, 16}, {64, 1}, {2, 64}, {128, 1}, {3, 5}}) {
    const auto& this_instances = instances;
    CAPTURE(this_instances);
    const std::vector<CpuSet> sets = split_cpus(*topology, instances, threads);
    REQUIRE(sets.size() == static_cast<std::size_t>(instances));
    std::set<int> all, cores;
    for (const CpuSet& set : sets) {
      CHECK(set.size() == static_cast<std::size_t>(threads));
      all.insert(set.begin(), set.end());
      for (const int cpu : set) cores.insert(of(*topology, cpu).core);
    }
    CHECK(all.size() == static_cast<std::size_t>(instances * threads));
    CHECK(cores.size() == static_cast<std::size_t>(std::min(64, instances * threads)));
  }
  // Two programs with all hardware threads: a node each.
  CHECK(nodes_of(*topology, {split_cpus(*topology, 2, 64)[0]}).size() == 1);
  CHECK(split_cpus(*topology, 2, 65).empty());
}

TEST_CASE("placement: where a curve of speeds may bend") {
  const auto topology = machine(kTwoSockets);
  if (!topology) return;
  const std::vector<Landmark> marks = landmarks(*topology);
  REQUIRE(marks.size() == 4);
  CHECK(marks[0].threads == 8);
  CHECK(marks[1].threads == 32);
  CHECK(marks[1].text == "the cores of one NUMA node");
  CHECK(marks[2].threads == 64);
  CHECK(marks[3].threads == 128);
}

TEST_CASE("placement: a team's threads are kept to their places, and the calling one is free again behind it") {
  const CpuMask before = mask_of_this_thread();
  if (before == CpuMask{}) {
    MESSAGE("this system does not say where threads may run");
    return;
  }
  const Topology topology = read_topology();
  for (const int threads : {1, 2, 3}) {
    const std::vector<CpuSet> places = place_threads(topology, Bind::threads, threads);
    std::vector<CpuMask> masks(static_cast<std::size_t>(threads));
    for (int again = 0; again < 2; ++again) {
      const Team team(threads, places);
#pragma omp parallel
      masks[static_cast<std::size_t>(omp_get_thread_num())] = mask_of_this_thread();
      for (std::size_t i = 0; i < masks.size(); ++i) CHECK(masks[i] == mask_of(places[i]));
    }
    CHECK(mask_of_this_thread() == before);
  }
  // Threads that were kept to a place are kept to another one by the next team.
  const std::vector<CpuSet> all{affinity_cpus()};
  {
    const Team team(2, all);
    int free = 0;
#pragma omp parallel reduction(+ : free)
    free += mask_of_this_thread() == mask_of(all[0]) ? 1 : 0;
    CHECK(free == 2);
  }
}

TEST_CASE("placement: a team without places is bound to nothing, whatever the team before it was bound to") {
  const CpuMask before = mask_of_this_thread();
  if (before == CpuMask{}) {
    MESSAGE("this system does not say where threads may run");
    return;
  }
  const auto free_threads = [&before] {
    int free = 0;
#pragma omp parallel reduction(+ : free)
    free += mask_of_this_thread() == before ? 1 : 0;
    return free;
  };
  const CpuSet first{affinity_cpus()[0]};
  for (int again = 0; again < 2; ++again) {
    { const Team bound(3, {first, first, first}); }
    const Team team(3);
    CHECK(free_threads() == 3);
  }
  CHECK(mask_of_this_thread() == before);
}

TEST_CASE("placement: a thread that is kept to CPUs is back there when its team ends") {
  const CpuMask before = mask_of_this_thread();
  if (before == CpuMask{}) {
    MESSAGE("this system does not say where threads may run");
    return;
  }
  const CpuMask one = mask_of({affinity_cpus().back()});
  CpuMask behind{}, without{};
  std::jthread([&] {
    { const Team team(1); }  // LLVM's OpenMP takes a thread's mask away when it first meets it
    keep_to(one);
    { const Team team(2, {affinity_cpus(), affinity_cpus()}); }
    behind = mask_of_this_thread();
    const Team team(2);
    without = mask_of_this_thread();
  }).join();
  CHECK(behind == one);
  CHECK(without == one);
  CHECK(mask_of_this_thread() == before);
}

TEST_CASE("placement: masks hold the CPUs of the largest machines, beyond cpu_set_t's 1024") {
  const CpuSet cpus{0, 63, 64, 1023, 1024, 1500, 5000, 8191};
  CHECK(cpus_of(mask_of(cpus)) == cpus);
  CHECK(cpus_of(mask_of({8192, -1})).empty());
  CHECK(mask_of({1500}) != CpuMask{});
  CHECK(cpus_of(mask_of_this_thread()) == affinity_cpus());
  const auto large = machine("pack:8 numa:2 core:64 pu:2");  // 2048 hardware threads
  if (!large) return;
  std::set<int> all;
  for (const CpuSet& place : place_threads(*large, Bind::threads, 2048)) {
    const CpuSet back = cpus_of(mask_of(place));
    CHECK(back == place);
    all.insert(back.begin(), back.end());
  }
  CHECK(all.size() == 2048);
}

TEST_CASE("topology: a machine whose cores are not told of has one for each CPU") {
  const auto topology = machine("numa:2 pu:3");
  if (!topology) return;
  CHECK(topology->cores == 6);
  CHECK(topology->usable_cores() == 6);
  CHECK(cores_of(*topology, place_threads(*topology, Bind::cores, 6)).size() == 6);
  for (const HardwareThread& cpu : topology->threads) CHECK(cpu.sibling == 0);
}

TEST_CASE("placement: names, and the list of CPUs is taskset's") {
  CHECK(cpu_list({0, 1, 2, 3, 8, 10, 11}) == "0-3,8,10-11");
  CHECK(cpu_list({}).empty());
  for (const Bind bind : kBinds) CHECK(bind_of(name_of(bind)) == bind);
  CHECK_THROWS_WITH_AS(bind_of("sockets"), doctest::Contains("none, cores, threads, spread and nodes"), Error);
}

}  // namespace hourglass::test
