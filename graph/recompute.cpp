#include "graph/recompute.h"

#include <algorithm>
#include <map>

#include "graph/op.h"

namespace hourglass {
namespace {

class Recomputation {
 public:
  Recomputation(Graph& graph, const OpTable& table, std::size_t forward_nodes, int64_t least_bytes)
      : graph_(graph), table_(table), builder_(graph, table), forward_nodes_(forward_nodes), least_bytes_(least_bytes) {
    for (const Value& value : graph.values) producers_.push_back(value.producer);
  }

  void run() {
    nodes_ = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      Node node = nodes_[n];
      if (n >= forward_nodes_) {
        for (ValueId& id : node.inputs) id = again(id);
      }
      for (const ValueId id : node.outputs) {
        graph_.value(id).producer = static_cast<int32_t>(graph_.nodes.size());
      }
      graph_.nodes.push_back(std::move(node));
    }
  }

 private:
  // The value, computed anew by a node that is added now if there is none yet; or itself where that is not worth it.
  ValueId again(ValueId id) {
    if (!id.valid()) return id;
    const auto known = copies_.find(id);
    if (known != copies_.end()) return known->second;
    const int32_t producer = producers_[static_cast<std::size_t>(id.index)];
    if (producer < 0 || static_cast<std::size_t>(producer) >= forward_nodes_) return id;
    const Node& node = nodes_[static_cast<std::size_t>(producer)];
    const TensorType& type = graph_.type(id);
    const bool is_small = type.shape.elements() * static_cast<int64_t>(size_of(type.dtype)) < least_bytes_;
    if (node.op->again.empty() || node.outputs[0] != id || is_small) return id;
    std::vector<ValueId> inputs;
    for (const ValueId input : node.inputs) inputs.push_back(again(input));
    inputs.insert(inputs.end(), node.outputs.begin() + 1, node.outputs.end());
    Attrs attrs = node.attrs;
    const std::vector<AttrSpec>& known_attrs = table_.find(node.op->again)->attrs;
    for (const auto& [name, value] : node.attrs.all()) {
      const auto is_it = [&name = name](const AttrSpec& spec) { return spec.name == name; };
      if (std::none_of(known_attrs.begin(), known_attrs.end(), is_it)) attrs.erase(name);
    }
    return copies_[id] = builder_.add(node.op->again, std::move(inputs), std::move(attrs), node.name + "/again");
  }

  Graph& graph_;
  const OpTable& table_;
  GraphBuilder builder_;
  std::size_t forward_nodes_;
  int64_t least_bytes_;
  std::vector<int32_t> producers_;  // of the values before
  std::vector<Node> nodes_;
  std::map<ValueId, ValueId> copies_;
};

}  // namespace

void recompute(Graph& graph, const OpTable& table, std::size_t forward_nodes, int64_t least_bytes) {
  Recomputation(graph, table, forward_nodes, least_bytes).run();
}

}  // namespace hourglass
