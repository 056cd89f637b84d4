// Whether a value depends on the network's input or on parameters without data: asked by ops that have two forms, one
// for a constant operand (Gather), one for a computed operand (GatherComputed).
#pragma once

#include <set>
#include <vector>

#include "graph/graph.h"

namespace hourglass::ops {

// Whether some input, or a parameter without data, is among the values from which `wanted` is computed.
inline bool is_computed(const Graph& graph, ValueId wanted) {
  std::vector<ValueId> open{wanted};
  std::set<int32_t> seen;
  while (!open.empty()) {
    const ValueId id = open.back();
    open.pop_back();
    if (!id.valid() || !seen.insert(id.index).second) continue;
    const Value& value = graph.value(id);
    if (value.kind == ValueKind::input || (value.kind == ValueKind::parameter && value.data == nullptr)) return true;
    if (value.kind != ValueKind::computed) continue;
    const std::vector<ValueId>& read = graph.nodes[static_cast<std::size_t>(value.producer)].inputs;
    open.insert(open.end(), read.begin(), read.end());
  }
  return false;
}

}  // namespace hourglass::ops
