// Which CPUs a thread may run on, as the system numbers them.
//
// A thread has a mask of its own, keep_to(), that the threads it begins inherit. For as long as a team computes, a
// thread of it may be bound to fewer, bind_thread(), and is let go to where it was by unbind_thread().
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace hourglass {

using CpuSet = std::vector<int>;  // the system's numbers, ascending

// CPUs 0 to 8191 as bits, as many as Linux can be built for; glibc's cpu_set_t ends at 1023. All bits 0: not known.
using CpuMask = std::array<uint64_t, 128>;
CpuMask mask_of(const CpuSet& cpus) noexcept;
CpuSet cpus_of(const CpuMask& mask);

CpuMask mask_of_this_thread() noexcept;
// Numbers of CPUs that the calling thread may run on, ascending; empty where the system does not say.
CpuSet affinity_cpus();

// Keeps the calling thread to these CPUs. Without effect where they are none, or where the system refuses.
void keep_to(const CpuMask& cpus) noexcept;

// The same for a time; asks the system only where that is no news. Without effect where the system does not say which
// CPUs the thread has had, as nothing could give it these again.
void bind_thread(const CpuMask& cpus) noexcept;
void unbind_thread() noexcept;

}  // namespace hourglass
