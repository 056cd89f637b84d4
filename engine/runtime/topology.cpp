#include "engine/runtime/topology.h"

#include <algorithm>
#include <memory>
#include <set>
#include <thread>

#include "graph/error.h"

#if defined(HOURGLASS_WITH_HWLOC)
#include <hwloc.h>
#endif

namespace hourglass {
namespace {

[[maybe_unused]] Topology without_hwloc(const std::vector<int>& cpus) {
  Topology topology;
  for (const int cpu : cpus) {
    const int index = static_cast<int>(topology.threads.size());
    topology.threads.push_back({.cpu = cpu, .core = index});
  }
  topology.cores = static_cast<int>(topology.threads.size());
  return topology;
}

#if defined(HOURGLASS_WITH_HWLOC)

struct Destroy {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using Loaded = std::unique_ptr<hwloc_topology, Destroy>;

Loaded load(const std::string& synthetic) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) fail("hwloc can't begin to read the machine");
  Loaded topology(raw);
  if (!synthetic.empty() && hwloc_topology_set_synthetic(raw, synthetic.c_str()) != 0) {
    fail("'{}' is no machine that hwloc understands; one is \"pack:2 core:4 pu:2\"", synthetic);
  }
  // CPUs outside a cpuset are shown too: they are part of the machine, though not ours.
  // Nor does it go from CPU to CPU to ask each, which are others' perhaps.
  hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED | HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING);
  if (hwloc_topology_load(raw) != 0) fail("hwloc can't read the machine");
  return topology;
}

int index_above(hwloc_topology_t topology, hwloc_obj_t object, hwloc_obj_type_t type) {
  if (object->type == type) return static_cast<int>(object->logical_index);
  const hwloc_obj_t above = hwloc_get_ancestor_obj_by_type(topology, type, object);
  return above == nullptr ? 0 : static_cast<int>(above->logical_index);
}

// Nodes hang beside the tree: the one whose CPUs include this one.
int node_of(hwloc_topology_t topology, unsigned cpu) {
  hwloc_obj_t node = nullptr;
  while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr) {
    if (hwloc_bitmap_isset(node->cpuset, cpu) != 0) return static_cast<int>(node->logical_index);
  }
  return 0;
}

void read_caches(hwloc_topology_t topology, hwloc_obj_t first, Topology& machine) {
  for (hwloc_obj_t object = first->parent; object != nullptr; object = object->parent) {
    if (hwloc_obj_type_is_dcache(object->type) == 0) continue;
    const hwloc_obj_attr_u::hwloc_cache_attr_s& cache = object->attr->cache;
    machine.caches.push_back({.name = fmt::format("L{}{}", cache.depth, cache.depth == 1 ? "d" : ""),
                              .bytes = static_cast<int64_t>(cache.size),
                              .hardware_threads = hwloc_bitmap_weight(object->cpuset)});
  }
  if (machine.caches.empty()) return;
  const hwloc_obj_t first_cpu = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, 0);
  hwloc_obj_t last = nullptr;
  for (hwloc_obj_t object = first_cpu->parent; object != nullptr; object = object->parent) {
    if (hwloc_obj_type_is_dcache(object->type) != 0) last = object;
  }
  machine.last_caches = hwloc_get_nbobjs_by_type(topology, last->type);
  for (HardwareThread& thread : machine.threads) {
    const hwloc_obj_t cpu = hwloc_get_pu_obj_by_os_index(topology, static_cast<unsigned>(thread.cpu));
    thread.last_cache = index_above(topology, cpu, last->type);
  }
}

Topology by_hwloc(const std::string& synthetic) {
  const Loaded loaded = load(synthetic);
  const hwloc_topology_t topology = loaded.get();
  Topology machine;
  machine.from_hwloc = true;
  // Some virtual machines and kernels don't tell of cores.
  const hwloc_obj_type_t core = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  std::vector<int> seen(static_cast<std::size_t>(std::max(1, hwloc_get_nbobjs_by_type(topology, core))), 0);
  hwloc_obj_t cpu = nullptr;
  while ((cpu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, cpu)) != nullptr) {
    HardwareThread thread{.cpu = static_cast<int>(cpu->os_index),
                          .core = index_above(topology, cpu, core),
                          .package = index_above(topology, cpu, HWLOC_OBJ_PACKAGE),
                          .node = node_of(topology, cpu->os_index)};
    thread.sibling = seen[static_cast<std::size_t>(thread.core)]++;
    machine.threads.push_back(thread);
  }
  if (machine.threads.empty()) fail("hwloc finds no CPU in this machine");
  const auto count = [&](hwloc_obj_type_t type) { return std::max(1, hwloc_get_nbobjs_by_type(topology, type)); };
  machine.packages = count(HWLOC_OBJ_PACKAGE);
  machine.nodes = count(HWLOC_OBJ_NUMANODE);
  machine.cores = count(core);
  hwloc_obj_t node = nullptr;
  while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr) {
    machine.node_bytes.push_back(static_cast<int64_t>(node->attr->numanode.local_memory));
  }
  read_caches(topology, hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, 0), machine);
  return machine;
}

#endif

}  // namespace

std::vector<HardwareThread> Topology::usable() const {
  std::vector<HardwareThread> some;
  std::copy_if(threads.begin(), threads.end(), std::back_inserter(some), [](const auto& cpu) { return cpu.usable; });
  return some;
}

int Topology::usable_cores() const {
  std::set<int> some;
  for (const HardwareThread& cpu : usable()) some.insert(cpu.core);
  return static_cast<int>(some.size());
}

Topology Topology::within(const CpuSet& cpus) const {
  const std::set<int> some(cpus.begin(), cpus.end());
  Topology topology = *this;
  for (HardwareThread& cpu : topology.threads) cpu.usable = some.contains(cpu.cpu);
  if (topology.usable().empty()) fail("none of the CPUs that the process may use is one of the machine's");
  return topology;
}

int64_t Topology::last_cache_bytes() const { return caches.empty() ? 0 : caches.back().bytes * last_caches; }

Topology read_topology(const TopologySource& source) {
  std::optional<CpuSet> usable = source.usable;
  if (!usable && source.synthetic.empty()) {
    usable = affinity_cpus();
    if (usable->empty()) usable.reset();
  }
#if defined(HOURGLASS_WITH_HWLOC)
  Topology topology = by_hwloc(source.synthetic);
#else
  if (!source.synthetic.empty()) fail("built without hwloc, which a machine in its notation needs");
  CpuSet all = usable.value_or(CpuSet());
  for (int cpu = 0; all.empty() && cpu < std::max(1, static_cast<int>(std::thread::hardware_concurrency())); ++cpu) {
    all.push_back(cpu);
  }
  Topology topology = without_hwloc(all);
#endif
  return usable ? topology.within(*usable) : topology;
}

}  // namespace hourglass
