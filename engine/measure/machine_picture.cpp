#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "engine/measure/machine.h"
#include "graph/text.h"

namespace hourglass {
namespace {

using Place = std::tuple<int, int, int>;  // package, node, last-level cache

std::string bytes_text(int64_t bytes) {
  constexpr double kKiB = 1024, kMiB = kKiB * 1024, kGiB = kMiB * 1024;
  const auto size = static_cast<double>(bytes);
  if (size >= kGiB) return fmt::format("{:.1f} GiB", size / kGiB);
  return size >= kMiB ? fmt::format("{:.0f} MiB", size / kMiB) : fmt::format("{:.0f} KiB", size / kKiB);
}

// "[0 64]" for each core, as many to a line as there is room behind the indentation.
std::string boxes(const std::vector<std::vector<HardwareThread>>& cores, std::size_t indentation, std::size_t width) {
  std::string text, line(indentation, ' ');
  const std::size_t empty = line.size();
  for (const std::vector<HardwareThread>& core : cores) {
    std::vector<std::string> numbers;
    for (const HardwareThread& cpu : core) numbers.push_back(cpu.usable ? fmt::format("{}", cpu.cpu) : ".");
    const std::string box = fmt::format("[{}]", join(numbers, " "));
    if (line.size() > empty && line.size() + 1 + box.size() > width) {
      text += line + "\n";
      line.assign(indentation, ' ');
    }
    if (line.size() > empty) line += ' ';
    line += box;
  }
  return text + line + "\n";
}

}  // namespace

std::string picture(const Topology& topology, std::size_t width) {
  if (!topology.from_hwloc) {
    return fmt::format("{} CPUs; built without hwloc, which knows of packages, nodes, caches and cores\n",
                       topology.threads.size());
  }
  std::map<Place, std::map<int, std::vector<HardwareThread>>> places;
  for (const HardwareThread& cpu : topology.threads) {
    places[{cpu.package, cpu.node, cpu.last_cache}][cpu.core].push_back(cpu);
  }
  std::string text;
  int package = -1, node = -1;
  for (const auto& [place, cores] : places) {
    if (std::get<0>(place) != package) {
      package = std::get<0>(place);
      node = -1;
      text += fmt::format("package {}\n", package);
    }
    if (std::get<1>(place) != node) {
      node = std::get<1>(place);
      const auto at = static_cast<std::size_t>(node);
      text += fmt::format("  node {}", node);
      if (at < topology.node_bytes.size()) text += fmt::format(", {}", bytes_text(topology.node_bytes[at]));
      text += "\n";
    }
    std::size_t indentation = 4;
    if (!topology.caches.empty()) {
      const CacheLevel& cache = topology.caches.back();
      text += fmt::format("    {} {}\n", cache.name, bytes_text(cache.bytes));
      indentation += 2;
    }
    std::vector<std::vector<HardwareThread>> list;
    for (const auto& [core, cpus] : cores) list.push_back(cpus);
    text += boxes(list, indentation, width);
  }
  return text;
}

}  // namespace hourglass
