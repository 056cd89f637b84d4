// What a measurement was made on, for the head of every table.
#pragma once

#include <cstdint>
#include <string>

#include "engine/runtime/cpus.h"

namespace hourglass {

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
};

Machine this_machine();

// Two lines: "AMD EPYC, 2 of 4 CPUs (affinity 2, cgroup quota 2), 23.5 GiB" and "oneDNN 2.6.3 with ..., libgomp.so.1".
std::string describe(const Machine& machine);

}  // namespace hourglass
