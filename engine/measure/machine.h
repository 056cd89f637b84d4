// What a measurement was made on, for the head of every table.
#pragma once

#include <cstdint>
#include <string>

#include "engine/runtime/cpus.h"
#include "engine/runtime/topology.h"

namespace hourglass {

// How the kernel sets the CPUs' clock, below `root`, which is a test's. Empty where the system does not say, as in most
// virtual machines.
struct ClockControl {
  std::string governor;  // of the first CPU, "performance"; "powersave, performance" where CPUs differ
  std::string boost;     // "on" or "off"
};
ClockControl read_clock_control(const std::string& root = "");

struct Machine {
  std::string cpu;  // the model's name, "unknown CPU" where the system does not say
  CpuLimits limits;
  int available = 1;  // available_cpus()
  // The instruction set that oneDNN uses, ONEDNN_MAX_CPU_ISA counted in: "avx512_core_bf16"; on other architectures
  // than x86 oneDNN's number for it, "instruction set 0x7".
  std::string isa;
  std::string onednn;  // version
  std::string openmp;  // the runtime that is loaded and how it waits: "libgomp.so.1, GOMP_SPINCOUNT=10000"
  int64_t memory_bytes = 0;
  Topology topology;
  ClockControl clock;
  std::string host, kernel;  // "Linux 6.1.0"
};

Machine this_machine();

// Four lines: "AMD EPYC, 2 of 4 CPUs (affinity 2, cgroup quota 2), 23.5 GiB", "1 package, 1 NUMA node, ...", "clock:
// governor performance, boost on; Linux 6.1.0" and "oneDNN 2.6.3 using ..., libgomp.so.1".
std::string describe(const Machine& machine);

// Packages, nodes, last-level caches and cores as a drawing in text of at most `width` columns, where it can be. Each
// core is a bracket with its hardware threads' numbers, "[0 64]"; those that the process may not use are dots. Without
// hwloc, one line says so.
std::string picture(const Topology& topology, std::size_t width);

}  // namespace hourglass
