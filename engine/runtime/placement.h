// Which CPUs each thread of a team is kept to.
//
//   const std::vector<CpuSet> places = place_threads(read_topology(), Bind::cores, 8);
//   FitOptions options{.threads = 8, .places = places};
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/runtime/affinity.h"
#include "engine/runtime/topology.h"

namespace hourglass {

// In all of them but none, every core gets a thread before any gets a second one.
enum class Bind : uint8_t {
  none,     // wherever the system puts them
  cores,    // each to a core, neighbours first: they share caches and a node as long as these have room
  threads,  // the same, each to a single hardware thread
  spread,   // each to a core, as far apart as can be: nodes and last-level caches in turn
  nodes,    // each to all CPUs of a node: as few nodes as have a core for each thread
};

std::string_view name_of(Bind bind);
// Of name_of(); throws Error for another word.
Bind bind_of(std::string_view name);
inline constexpr Bind kBinds[] = {Bind::none, Bind::cores, Bind::threads, Bind::spread, Bind::nodes};

// One set for each of `threads` >= 1 threads, of CPUs that the process may use; empty for Bind::none. More threads than
// hardware threads begin again at the first.
std::vector<CpuSet> place_threads(const Topology& topology, Bind bind, int threads);

// Bindings that differ on this machine, none first: on one with a single node and without SMT, `threads` is `cores`,
// and `nodes` is none.
std::vector<Bind> distinct_binds(const Topology& topology, int threads);

// `instances` sets of `threads` CPUs each, for programs side by side: disjoint, each within one core, cache or node as
// far as that has room, whole cores before siblings where there are enough. Empty where there are fewer CPUs.
std::vector<CpuSet> split_cpus(const Topology& topology, int instances, int threads);

// The largest counts of threads that get a core each within the first last-level cache, the first node and the first
// package, all cores, and all hardware threads, as far as these differ: where a curve of speeds may bend.
struct Landmark {
  int threads = 0;
  std::string text;  // "all cores of node 0"
};
std::vector<Landmark> landmarks(const Topology& topology);

// "0-3,8" of {0, 1, 2, 3, 8}, as taskset and numactl read it.
std::string cpu_list(const CpuSet& cpus);

}  // namespace hourglass
