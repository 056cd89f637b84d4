#include "engine/runtime/affinity.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace hourglass {
namespace {

constexpr std::size_t kBits = 64;

#if defined(__linux__)
bool set_mask(const CpuMask& cpus) noexcept {
  return sched_setaffinity(0, sizeof cpus, reinterpret_cast<const cpu_set_t*>(cpus.data())) == 0;
}
#else
bool set_mask(const CpuMask&) noexcept { return false; }
#endif

// Of the calling thread, while it is bound.
struct Binding {
  bool bound = false;
  CpuMask to{}, home{};
};
thread_local Binding binding;

}  // namespace

CpuMask mask_of(const CpuSet& cpus) noexcept {
  CpuMask mask{};
  for (const int cpu : cpus) {
    const auto at = static_cast<std::size_t>(cpu);
    if (at < kBits * mask.size()) mask[at / kBits] |= uint64_t{1} << at % kBits;
  }
  return mask;
}

CpuSet cpus_of(const CpuMask& mask) {
  CpuSet cpus;
  for (std::size_t at = 0; at < kBits * mask.size(); ++at) {
    if ((mask[at / kBits] >> at % kBits & 1) != 0) cpus.push_back(static_cast<int>(at));
  }
  return cpus;
}

CpuMask mask_of_this_thread() noexcept {
  CpuMask mask{};
#if defined(__linux__)
  static_assert(sizeof mask >= sizeof(cpu_set_t));
  if (sched_getaffinity(0, sizeof mask, reinterpret_cast<cpu_set_t*>(mask.data())) != 0) return {};
#endif
  return mask;
}

CpuSet affinity_cpus() { return cpus_of(mask_of_this_thread()); }

void keep_to(const CpuMask& cpus) noexcept {
  if (cpus != CpuMask{} && set_mask(cpus)) binding.bound = false;
}

void bind_thread(const CpuMask& cpus) noexcept {
  if (cpus == CpuMask{} || (binding.bound && binding.to == cpus)) return;
  if (!binding.bound) binding.home = mask_of_this_thread();
  if (binding.home == CpuMask{} || !set_mask(cpus)) return;
  binding.bound = true;
  binding.to = cpus;
}

void unbind_thread() noexcept {
  if (binding.bound && set_mask(binding.home)) binding.bound = false;
}

}  // namespace hourglass
