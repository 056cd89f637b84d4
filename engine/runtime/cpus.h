// The CPUs that this process may use.
#pragma once

#include <string>

namespace hourglass {

struct CpuLimits {
  int online = 1;    // of the machine
  int affinity = 1;  // that the scheduler may put this process on
  double quota = 0;  // CPUs' worth of time that the cgroups pay for, the narrowest of them; 0: no limit
};

CpuLimits cpu_limits();

// CPUs' worth of time that the process's cgroup and all those around it pay for, in versions 1 and 2; 0: no limit. The
// files are looked for below `root`, which is a test's.
double cgroup_cpus(const std::string& root = "");

// How many threads to use where nobody says: as many as OMP_NUM_THREADS, where it is set; else the smaller of the
// affinity mask and the cgroups' quota (rounded up), at least 1.
int available_cpus();

}  // namespace hourglass
