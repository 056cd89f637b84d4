#include "engine/measure/machine.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <omp.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <dnnl.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "graph/text.h"

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

std::string counted(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string describe(const CacheLevel& cache) {
  constexpr int64_t kKiB = 1024, kMiB = 1024 * kKiB;
  const std::string size =
      cache.bytes % kMiB == 0 ? fmt::format("{} MiB", cache.bytes / kMiB) : fmt::format("{} KiB", cache.bytes / kKiB);
  return fmt::format("{} {} for {}", cache.name, size, counted(cache.hardware_threads, "hardware thread"));
}

std::string or_unknown(const std::string& text) { return text.empty() ? "unknown" : text; }

}  // namespace

ClockControl read_clock_control(const std::string& root) {
  ClockControl clock;
  const std::string cpus = root + "/sys/devices/system/cpu";
  std::set<std::string> governors;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(cpus, missing)) {
    std::string governor;
    if (std::ifstream(entry.path() / "cpufreq/scaling_governor") >> governor) governors.insert(governor);
  }
  clock.governor = join(std::vector<std::string>(governors.begin(), governors.end()), ", ");
  // The intel_pstate driver says the contrary of the others.
  for (const auto& [file, on] : {std::pair{"/cpufreq/boost", '1'}, {"/intel_pstate/no_turbo", '0'}}) {
    char value = 0;
    if (std::ifstream(cpus + file) >> value) clock.boost = value == on ? "on" : "off";
  }
  return clock;
}

Machine this_machine() {
  const dnnl_version_t& version = *dnnl_version();
  utsname system{};
  uname(&system);
  return {.cpu = cpu_model(),
          .limits = cpu_limits(),
          .available = available_cpus(),
          .isa = isa_name(),
          .onednn = fmt::format("{}.{}.{}", version.major, version.minor, version.patch),
          .openmp = openmp_runtime(),
          .memory_bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE),
          .topology = read_topology(),
          .clock = read_clock_control(),
          .host = system.nodename,
          .kernel = fmt::format("{} {}", system.sysname, system.release)};
}

std::string describe(const Machine& machine) {
  const std::string quota =
      machine.limits.quota > 0 ? fmt::format("{:.3g}", machine.limits.quota) : std::string("none");
  std::string text = fmt::format("{}, {} of {} (affinity {}, cgroup quota {}), {:.1f} GiB\n", machine.cpu,
                                 machine.available, counted(machine.limits.online, "CPU"), machine.limits.affinity,
                                 quota, static_cast<double>(machine.memory_bytes) / (1 << 30));
  const Topology& topology = machine.topology;
  if (topology.from_hwloc) {
    text += fmt::format("{}, {}, {}, {}", counted(topology.packages, "package"), counted(topology.nodes, "NUMA node"),
                        counted(topology.cores, "core"),
                        counted(static_cast<int64_t>(topology.threads.size()), "hardware thread"));
    for (const CacheLevel& cache : topology.caches) text += fmt::format(", {}", describe(cache));
  } else {
    text += "packages, nodes and cores are not known (built without hwloc)";
  }
  text += fmt::format("\nclock: governor {}, boost {}; {}\n", or_unknown(machine.clock.governor),
                      or_unknown(machine.clock.boost), machine.kernel);
  return text + fmt::format("oneDNN {} using {}, {}", machine.onednn, machine.isa, machine.openmp);
}

}  // namespace hourglass
