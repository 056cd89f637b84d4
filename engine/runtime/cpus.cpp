#include "engine/runtime/cpus.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "engine/runtime/affinity.h"
#include "engine/runtime/cgroups.h"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace hourglass {
namespace {

// The narrower of two limits, of which 0 is none.
double narrower(double a, double b) { return a > 0 && b > 0 ? std::min(a, b) : std::max(a, b); }

// What one cgroup v2 pays for: its cpu.max holds "max 100000" or "200000 100000", quota and period in microseconds.
double quota_of_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || !(period > 0)) return 0;
  return std::max(0.0, std::strtod(quota.c_str(), nullptr)) / period;
}

// Of version 1: one file each; a quota of -1 is none.
double quota_of_v1(const std::string& folder) {
  double quota = -1, period = 0;
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  return quota > 0 && period > 0 ? quota / period : 0;
}

// The number of OMP_NUM_THREADS, of a list its first; 0 where it is not set, or no number above 0.
int openmp_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const long number = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return number > 0 && number <= 4096 ? static_cast<int>(number) : 0;
}

}  // namespace

double cgroup_cpus(const std::string& root) {
  double quota = 0;
  for_each_cgroup("cpu", root, [&](const std::string& folder, CgroupVersion version) {
    quota = narrower(quota, version == CgroupVersion::v2 ? quota_of_v2(folder) : quota_of_v1(folder));
  });
  return quota;
}

CpuLimits cpu_limits() {
  CpuLimits limits;
  limits.online = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  limits.affinity = limits.online;
#if defined(__linux__)
  if (const long online = sysconf(_SC_NPROCESSORS_ONLN); online > 0) limits.online = static_cast<int>(online);
#endif
  if (const CpuSet allowed = affinity_cpus(); !allowed.empty()) limits.affinity = static_cast<int>(allowed.size());
  limits.quota = cgroup_cpus();
  return limits;
}

int available_cpus() {
  if (const int told = openmp_threads(); told > 0) return told;
  const CpuLimits limits = cpu_limits();
  if (limits.quota <= 0) return limits.affinity;
  return std::clamp(static_cast<int>(std::ceil(limits.quota)), 1, limits.affinity);
}

}  // namespace hourglass
