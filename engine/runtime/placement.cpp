#include "engine/runtime/placement.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "graph/error.h"

namespace hourglass {
namespace {

constexpr std::array<std::pair<Bind, std::string_view>, 5> kNames{{{Bind::none, "none"},
                                                                   {Bind::cores, "cores"},
                                                                   {Bind::threads, "threads"},
                                                                   {Bind::spread, "spread"},
                                                                   {Bind::nodes, "nodes"}}};

struct Core {
  int node = 0, last_cache = 0, package = 0;
  CpuSet cpus;  // the usable ones, a core's first hardware thread first
};

// In the machine's order.
std::vector<Core> cores_of(const Topology& topology) {
  std::map<int, Core> cores;
  for (const HardwareThread& cpu : topology.usable()) {
    Core& core = cores[cpu.core];
    core.node = cpu.node, core.last_cache = cpu.last_cache, core.package = cpu.package;
    core.cpus.push_back(cpu.cpu);
  }
  std::vector<Core> list;
  for (auto& [index, core] : cores) list.push_back(std::move(core));
  std::stable_sort(list.begin(), list.end(), [](const Core& a, const Core& b) {
    return std::tie(a.package, a.node, a.last_cache) < std::tie(b.package, b.node, b.last_cache);
  });
  return list;
}

// The first of each group, then the second of each, and so on; groups in the order of their keys.
template <class Key>
std::vector<Core> in_turn(const std::vector<Core>& cores, const Key& key) {
  std::map<int, std::size_t> seen;
  std::vector<std::pair<std::size_t, const Core*>> ranked;
  ranked.reserve(cores.size());
  for (const Core& core : cores) ranked.emplace_back(seen[key(core)]++, &core);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Core> order;
  for (const auto& [rank, core] : ranked) order.push_back(*core);
  return order;
}

CpuSet sorted(CpuSet cpus) {
  std::sort(cpus.begin(), cpus.end());
  return cpus;
}

// CPUs, one per core in this order, then the cores' second ones.
std::vector<int> laps(const std::vector<Core>& cores) {
  std::vector<int> cpus;
  for (std::size_t lap = 0;; ++lap) {
    const std::size_t before = cpus.size();
    for (const Core& core : cores) {
      if (lap < core.cpus.size()) cpus.push_back(core.cpus[lap]);
    }
    if (cpus.size() == before) return cpus;
  }
}

std::vector<CpuSet> on_nodes(const std::vector<Core>& cores, int threads) {
  std::map<int, std::pair<int, CpuSet>> nodes;  // how many cores, and their CPUs
  for (const Core& core : cores) {
    auto& [count, cpus] = nodes[core.node];
    ++count;
    cpus.insert(cpus.end(), core.cpus.begin(), core.cpus.end());
  }
  // As few as have room, and then equal shares by their cores.
  std::vector<std::pair<int, CpuSet>> used;
  int room = 0;
  for (const auto& [node, cpus] : nodes) {
    if (room >= threads) break;
    used.push_back(cpus);
    room += cpus.first;
  }
  std::vector<CpuSet> places;
  int64_t before = 0;
  for (const auto& [count, cpus] : used) {
    const int64_t end = (before + count) * threads / room;
    for (int64_t i = before * threads / room; i < end; ++i) places.push_back(sorted(cpus));
    before += count;
  }
  return places;
}

}  // namespace

std::string_view name_of(Bind bind) {
  return std::find_if(kNames.begin(), kNames.end(), [&](const auto& name) { return name.first == bind; })->second;
}

Bind bind_of(std::string_view name) {
  for (const auto& [bind, text] : kNames) {
    if (text == name) return bind;
  }
  fail("'{}' is no binding; there are none, cores, threads, spread and nodes", name);
}

std::vector<CpuSet> place_threads(const Topology& topology, Bind bind, int threads) {
  if (bind == Bind::none) return {};
  std::vector<Core> cores = cores_of(topology);
  if (bind == Bind::nodes) return on_nodes(cores, threads);
  if (bind == Bind::spread) {
    cores = in_turn(cores, [](const Core& core) { return core.last_cache; });
    cores = in_turn(cores, [](const Core& core) { return core.node; });
    cores = in_turn(cores, [](const Core& core) { return core.package; });
  }
  const std::vector<int> single = laps(cores);
  std::vector<CpuSet> places;
  for (std::size_t i = 0; i < static_cast<std::size_t>(threads); ++i) {
    places.push_back(bind == Bind::threads ? CpuSet{single[i % single.size()]} : sorted(cores[i % cores.size()].cpus));
  }
  return places;
}

std::vector<Bind> distinct_binds(const Topology& topology, int threads) {
  CpuSet all;
  for (const HardwareThread& cpu : topology.usable()) all.push_back(cpu.cpu);
  std::set<std::vector<CpuSet>> seen{std::vector<CpuSet>(static_cast<std::size_t>(threads), sorted(all))};
  std::vector<Bind> binds{Bind::none};
  for (const Bind bind : kBinds) {
    if (bind != Bind::none && seen.insert(place_threads(topology, bind, threads)).second) binds.push_back(bind);
  }
  return binds;
}

std::vector<CpuSet> split_cpus(const Topology& topology, int instances, int threads) {
  const std::vector<Core> cores = cores_of(topology);
  std::vector<int> order;
  if (static_cast<std::size_t>(instances) * static_cast<std::size_t>(threads) <= cores.size()) {
    order = laps(cores);  // of which the first lap is all that is taken
  } else {
    for (const Core& core : cores) order.insert(order.end(), core.cpus.begin(), core.cpus.end());
  }
  if (order.size() < static_cast<std::size_t>(instances) * static_cast<std::size_t>(threads)) return {};
  std::vector<CpuSet> sets;
  for (auto from = order.begin(); static_cast<int>(sets.size()) < instances; from += threads) {
    sets.push_back(sorted(CpuSet(from, from + threads)));
  }
  return sets;
}

std::vector<Landmark> landmarks(const Topology& topology) {
  const std::vector<Core> cores = cores_of(topology);
  const auto leading = [&](const auto& key) {
    return static_cast<int>(
        std::count_if(cores.begin(), cores.end(), [&](const Core& core) { return key(core) == key(cores.front()); }));
  };
  std::vector<Landmark> marks;
  const auto add = [&](int threads, const char* text) {
    if (threads > 1 && (marks.empty() || marks.back().threads < threads)) marks.push_back({threads, text});
  };
  const int all = static_cast<int>(cores.size());
  const int cache = leading([](const Core& core) { return core.last_cache; });
  const int node = leading([](const Core& core) { return core.node; });
  const int package = leading([](const Core& core) { return core.package; });
  if (cache < all) add(cache, "the cores of one last-level cache");
  if (node < all) add(node, "the cores of one NUMA node");
  if (package < all) add(package, "the cores of one package");
  add(all, "all cores");
  add(static_cast<int>(topology.usable().size()), "all hardware threads");
  return marks;
}

std::string cpu_list(const CpuSet& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t end = i;
    while (end + 1 < cpus.size() && cpus[end + 1] == cpus[end] + 1) ++end;
    text += (text.empty() ? "" : ",") + std::to_string(cpus[i]);
    if (end > i) text += "-" + std::to_string(cpus[end]);
    i = end + 1;
  }
  return text;
}

}  // namespace hourglass
