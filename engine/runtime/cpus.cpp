#include "engine/runtime/cpus.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

namespace hourglass {
namespace {

// CPUs that the cgroup's quota pays for; 0 when there is no quota. cgroup v2 writes "max 100000" or "200000 100000"
// (quota and period in microseconds) to cpu.max; v1 has one file each.
double cgroup_cpus() {
  double quota = -1, period = 100000;
  std::string first;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> first >> period) {
    if (first != "max") quota = std::strtod(first.c_str(), nullptr);
  } else {
    std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!(v1_quota >> quota) || !(v1_period >> period)) quota = -1;
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

}  // namespace

CpuLimits cpu_limits() {
  CpuLimits limits;
  limits.online = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  limits.affinity = limits.online;
#if defined(__linux__)
  if (const long online = sysconf(_SC_NPROCESSORS_ONLN); online > 0) limits.online = static_cast<int>(online);
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) limits.affinity = std::max(1, CPU_COUNT(&set));
#endif
  limits.quota = cgroup_cpus();
  return limits;
}

int available_cpus() {
  const CpuLimits limits = cpu_limits();
  if (limits.quota <= 0) return limits.affinity;
  return std::clamp(static_cast<int>(std::ceil(limits.quota)), 1, limits.affinity);
}

void keep_to_cpus(int first, int count) {
#if defined(__linux__)
  cpu_set_t all, mine;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  CPU_ZERO(&mine);
  int seen = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all)) continue;
    if (seen >= first && seen < first + count) CPU_SET(cpu, &mine);
    ++seen;
  }
  if (CPU_COUNT(&mine) == count) sched_setaffinity(0, sizeof mine, &mine);
#else
  (void)first;
  (void)count;
#endif
}

}  // namespace hourglass
