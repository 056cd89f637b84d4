#include "graph/matcher.h"

#include "graph/op.h"

namespace hourglass {
namespace {}  // namespace

std::vector<int> count_uses(const Graph& graph) {
  std::vector<int> uses(graph.values.size(), 0);
  for (const Node& node : graph.nodes) {
    for (const ValueId id : node.inputs) {
      if (id.valid()) ++uses[at(id)];
    }
  }
  for (const ValueId id : graph.outputs) ++uses[at(id)];
  return uses;
}

std::vector<std::vector<Node*>> readers_of(Graph& graph) {
  std::vector<std::vector<Node*>> readers(graph.values.size());
  for (Node& node : graph.nodes) {
    for (const ValueId id : node.inputs) {
      if (id.valid()) readers[at(id)].push_back(&node);
    }
  }
  return readers;
}

Node* sole_producer(Graph& graph, const std::vector<int>& uses, ValueId id, std::string_view op) {
  const int32_t producer = graph.value(id).producer;
  if (producer < 0 || uses[at(id)] != 1) return nullptr;
  Node& node = graph.nodes[static_cast<std::size_t>(producer)];
  return node.op->name == op && node.outputs[0] == id ? &node : nullptr;
}

void drop_nodes(Graph& graph, const std::vector<bool>& dropped) {
  std::vector<Node> kept;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!dropped[n]) kept.push_back(std::move(graph.nodes[n]));
  }
  graph.nodes = std::move(kept);
  graph.find_producers();
}

}  // namespace hourglass
