#include "engine/measure/machine.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <cstdlib>
#include <dnnl.hpp>
#include <filesystem>
#include <fstream>

namespace hourglass {
namespace {

// /proc/cpuinfo has "model name : AMD EPYC 9B14" per CPU on x86; ARM kernels write no such line.
std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

std::string isa_name() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
#if defined(__x86_64__)
  switch (isa) {
    case dnnl::cpu_isa::sse41: return "sse41";
    case dnnl::cpu_isa::avx: return "avx";
    case dnnl::cpu_isa::avx2: return "avx2";
    case dnnl::cpu_isa::avx2_vnni: return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core: return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni: return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16: return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx: return "avx512_core_amx";
    default: break;
  }
#endif
  // On aarch64 oneDNN answers with numbers that mean other sets than those of the names above, by version.
  return fmt::format("instruction set {:#x}", static_cast<unsigned>(isa));
}

std::string openmp_runtime() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&omp_get_max_threads), &info) == 0 || info.dli_fname == nullptr) return "OpenMP";
  std::string text = std::filesystem::path(info.dli_fname).filename().string();
  for (const char* name : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    if (const char* value = std::getenv(name)) text += fmt::format(", {}={}", name, value);
  }
  return text;
}

}  // namespace

Machine this_machine() {
  const dnnl_version_t& version = *dnnl_version();
  return {.cpu = cpu_model(),
          .limits = cpu_limits(),
          .available = available_cpus(),
          .isa = isa_name(),
          .onednn = fmt::format("{}.{}.{}", version.major, version.minor, version.patch),
          .openmp = openmp_runtime(),
          .memory_bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE)};
}

std::string describe(const Machine& machine) {
  const std::string quota =
      machine.limits.quota > 0 ? fmt::format("{:.3g}", machine.limits.quota) : std::string("none");
  return fmt::format("{}, {} of {} CPU{} (affinity {}, cgroup quota {}), {:.1f} GiB\noneDNN {} using {}, {}",
                     machine.cpu, machine.available, machine.limits.online, machine.limits.online == 1 ? "" : "s",
                     machine.limits.affinity, quota, static_cast<double>(machine.memory_bytes) / (1 << 30),
                     machine.onednn, machine.isa, machine.openmp);
}

}  // namespace hourglass
