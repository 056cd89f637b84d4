#include "graph/passes.h"

#include <algorithm>
#include <string_view>

#include "graph/op.h"

namespace hourglass {
namespace {

bool passes_through(const Graph& graph, const Node& node) {
  if (node.inputs.size() != 1 || node.outputs.size() != 1) return false;
  if (graph.type(node.inputs[0]) != graph.type(node.outputs[0])) return false;
  const std::string_view op = node.op->name;
  const auto all = [&](const char* attr, int64_t wanted) {
    if (!node.attrs.has(attr)) return true;
    const Dims& values = node.attrs.ints(attr);
    return std::all_of(values.begin(), values.end(), [=](int64_t value) { return value == wanted; });
  };
  if (op == "Slice") return all("steps", 1);  // -1 keeps the shape too
  if (op == "Pad") return all("pads", 0);     // and so does 1 before, -1 behind
  return op == "Identity" || op == "Cast" || op == "Reshape" || op == "Flatten" || op == "Squeeze" ||
         op == "Unsqueeze" || op == "Expand" || op == "Tile";
}

}  // namespace

void forward_identities(Graph& graph) {
  std::vector<ValueId> source(graph.values.size(), kNoValue);
  for (Node& node : graph.nodes) {
    for (ValueId& id : node.inputs) {
      if (id.valid() && source[static_cast<std::size_t>(id.index)].valid()) {
        id = source[static_cast<std::size_t>(id.index)];
      }
    }
    if (!passes_through(graph, node)) continue;
    const ValueId out = node.outputs[0];
    if (std::find(graph.outputs.begin(), graph.outputs.end(), out) != graph.outputs.end()) continue;
    source[static_cast<std::size_t>(out.index)] = node.inputs[0];
  }
}

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
