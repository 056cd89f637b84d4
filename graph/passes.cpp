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

void drop_unread_nodes(Graph& graph) {
  std::vector<bool> is_read(graph.values.size(), false);
  const auto mark = [&](ValueId id) {
    if (id.valid()) is_read[static_cast<std::size_t>(id.index)] = true;
  };
  std::for_each(graph.outputs.begin(), graph.outputs.end(), mark);
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const auto is_wanted = [&](ValueId id) { return is_read[static_cast<std::size_t>(id.index)]; };
    if (std::none_of(node->outputs.begin(), node->outputs.end(), is_wanted)) continue;
    std::for_each(node->inputs.begin(), node->inputs.end(), mark);
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
  graph.find_producers();
}

std::vector<ValueId> eliminate_dead_code(Graph& graph) {
  const auto at = [](ValueId id) { return static_cast<std::size_t>(id.index); };
  drop_unread_nodes(graph);
  std::vector<bool> live(graph.values.size(), false);
  const auto mark = [&](const std::vector<ValueId>& ids) {
    for (const ValueId id : ids) {
      if (id.valid()) live[at(id)] = true;
    }
  };
  mark(graph.inputs);
  mark(graph.outputs);
  for (const Node& node : graph.nodes) {
    mark(node.inputs);
    // An output that nobody reads stays: a node's outputs are its op's, all of them.
    mark(node.outputs);
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
  for (Node& node : graph.nodes) {
    renumber(node.inputs);
    renumber(node.outputs);
  }
  return moved;
}

}  // namespace hourglass
