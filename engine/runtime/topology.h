// The machine as this process may use it: packages, NUMA nodes, caches, cores and their hardware threads, by hwloc.
//
//   const Topology machine = read_topology();
//   for (const HardwareThread& cpu : machine.threads) ...
//
// Built without hwloc, every CPU that the process may use is a core of its own, in one package with one node, and no
// cache is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/runtime/affinity.h"

namespace hourglass {

// What the system calls a CPU. Two that share a core are SMT siblings.
struct HardwareThread {
  int cpu = 0;                          // the system's number
  int core = 0, package = 0, node = 0;  // counted from 0 through the whole machine
  int last_cache = 0;                   // which last-level cache it shares, counted from 0
  int sibling = 0;                      // 0 for a core's first hardware thread
  bool usable = true;                   // the affinity mask lets the process run there
};

struct CacheLevel {
  std::string name;          // "L1d", "L2", "L3"
  int64_t bytes = 0;         // of one
  int hardware_threads = 1;  // that share one
};

struct Topology {
  bool from_hwloc = false;
  std::vector<HardwareThread> threads;  // package by package, node by node, core by core
  int packages = 1, nodes = 1, cores = 1, last_caches = 1;
  std::vector<CacheLevel> caches;   // from the first level on
  std::vector<int64_t> node_bytes;  // memory of each node; empty where nobody knows

  [[nodiscard]] std::vector<HardwareThread> usable() const;
  [[nodiscard]] int usable_cores() const;
  // As a process sees it that is kept to these CPUs. Throws Error where none of them is one of the machine's.
  [[nodiscard]] Topology within(const CpuSet& cpus) const;
  // Of the last-level caches together; 0 where nobody knows.
  [[nodiscard]] int64_t last_cache_bytes() const;
};

struct TopologySource {
  // A machine in hwloc's synthetic notation, as "pack:2 numa:1 core:32 pu:2"; empty: this one. Without hwloc, throws
  // Error.
  std::string synthetic = {};
  // CPUs that the process may use; none given: affinity_cpus() (affinity.h), or all of a synthetic machine.
  std::optional<CpuSet> usable = {};
};

// Throws Error for a notation that hwloc does not understand.
Topology read_topology(const TopologySource& source = {});

}  // namespace hourglass
