// The CPUs that this process may use.
#pragma once

namespace hourglass {

struct CpuLimits {
  int online = 1;    // of the machine
  int affinity = 1;  // that the scheduler may put this process on
  double quota = 0;  // CPUs' worth of time that the cgroup pays for; 0: no limit
};

CpuLimits cpu_limits();

// The smaller of the affinity mask and the cgroup's quota (rounded up), at least 1.
int available_cpus();

// Keeps the calling thread, and the OpenMP threads that it will start, to the CPUs [first, first + count) of those that
// it may use. Without effect where the system has no such call, or where there are fewer.
void keep_to_cpus(int first, int count);

}  // namespace hourglass
