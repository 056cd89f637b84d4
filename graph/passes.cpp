#include "graph/passes.h"

#include <algorithm>

namespace hourglass {

std::vector<ValueId> eliminate_dead_code(Graph& graph) {
  const auto at = [](ValueId id) { return static_cast<std::size_t>(id.index); };
  std::vector<bool> live(graph.values.size(), false);
  std::vector<bool> needed(graph.nodes.size(), false);
  for (const ValueId id : graph.inputs) live[at(id)] = true;
  for (const ValueId id : graph.outputs) live[at(id)] = true;
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    needed[n] = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) { return live[at(id)]; });
    if (!needed[n]) continue;
    for (const ValueId id : node.inputs) {
      if (id.valid()) live[at(id)] = true;
    }
    // An output that nobody reads stays: a node's outputs are its op's, all of them.
    for (const ValueId id : node.outputs) live[at(id)] = true;
  }

  std::vector<ValueId> moved(graph.values.size(), kNoValue);
  std::vector<Value> values;
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (!live[i]) continue;
    moved[i] = {static_cast<int32_t>(values.size())};
    values.push_back(std::move(graph.values[i]));
  }
  graph.values = std::move(values);

  const auto renumber = [&](std::vector<ValueId>& ids) {
    for (ValueId& id : ids) {
      if (id.valid()) id = moved[at(id)];
    }
  };
  renumber(graph.inputs);
  renumber(graph.outputs);
  std::vector<Node> nodes;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!needed[n]) continue;
    Node node = std::move(graph.nodes[n]);
    renumber(node.inputs);
    renumber(node.outputs);
    for (const ValueId id : node.outputs) graph.value(id).producer = static_cast<int32_t>(nodes.size());
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
  return moved;
}

}  // namespace hourglass
