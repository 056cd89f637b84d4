#include <algorithm>
#include <functional>
#include <optional>
#include <queue>

#include "graph/fuse_elementwise.h"
#include "graph/op.h"
#include "graph/passes.h"

namespace hourglass {
namespace {

constexpr int64_t kSmall = 1024;  // elements; nodes of fewer take no time and no memory

class ElementwiseFusion {
 public:
  ElementwiseFusion(Graph& graph, const OpTable& table) : graph_(graph), table_(table) {
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      group_.push_back(n);
      members_.push_back({n});
      shapes_.push_back(shape_of(graph.nodes[n]));
    }
  }

  void run() {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (shapes_[n] == nullptr) continue;
      for (const ValueId id : graph_.nodes[n].inputs) {
        const int32_t producer = graph_.value(id).producer;
        if (producer >= 0 && graph_.shape(id) == *shapes_[n]) join(group_[n], static_cast<std::size_t>(producer));
      }
    }
    const std::vector<std::size_t> order = *order_of_groups();
    std::vector<Node> nodes;
    for (const std::size_t group : order) {
      nodes.push_back(members_[group].size() == 1 ? graph_.nodes[members_[group][0]] : fused(members_[group]));
    }
    graph_.nodes = std::move(nodes);
    graph_.find_producers();
  }

 private:
  static bool is_float(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

  // Of the images that the node works on; null where it can't be part of a group.
  [[nodiscard]] const Shape* shape_of(const Node& node) const {
    const OpDef& op = *node.op;
    const bool is_cast = op.name == "Cast" && graph_.value(node.inputs[0]).kind != ValueKind::parameter;
    if ((op.row == nullptr && op.row_sum == nullptr && !is_cast) || node.outputs.size() != 1) return nullptr;
    const TensorType& out = graph_.type(node.outputs[0]);
    if (op.row_sum != nullptr && out.shape.elements() != 1) return nullptr;
    const Shape& shape = op.row_sum != nullptr ? graph_.shape(node.inputs[0]) : out.shape;
    if (shape.elements() < kSmall || !is_float(out.dtype)) return nullptr;
    if (node.inputs.size() > kMostRowSources) return nullptr;
    bool has_image = false;
    for (const ValueId id : node.inputs) {
      if (!id.valid() || !is_float(graph_.type(id).dtype)) return nullptr;
      const Shape& given = graph_.shape(id);
      if (given != shape && given.elements() != 1) return nullptr;
      has_image = has_image || given == shape;
    }
    return has_image ? &shape : nullptr;
  }

  // Makes one group of a node's and that of the node whose result it reads, where that is possible.
  void join(std::size_t group, std::size_t producer) {
    const std::size_t other = group_[producer];
    const bool is_image = shapes_[producer] != nullptr && graph_.nodes[producer].op->row_sum == nullptr;
    if (other == group || !is_image) return;
    const std::vector<std::size_t> before = members_[group], added = members_[other];
    std::vector<std::size_t> all;
    std::merge(before.begin(), before.end(), added.begin(), added.end(), std::back_inserter(all));
    if (!stands_together(all)) return;
    for (const std::size_t n : added) group_[n] = group;
    members_[group] = std::move(all);
    members_[other].clear();
    if (computes_alone(group) && order_of_groups()) return;
    for (const std::size_t n : added) group_[n] = other;
    members_[group] = before;
    members_[other] = added;
  }

  // Between its members stand none that take time or memory, else what they read would have to be kept for long.
  [[nodiscard]] bool stands_together(const std::vector<std::size_t>& members) const {
    const auto is_small = [&](ValueId id) { return !id.valid() || graph_.shape(id).elements() < kSmall; };
    for (std::size_t n = members.front(); n < members.back(); ++n) {
      const Node& node = graph_.nodes[n];
      const bool is_cheap = std::all_of(node.inputs.begin(), node.inputs.end(), is_small) &&
                            std::all_of(node.outputs.begin(), node.outputs.end(), is_small);
      if (shapes_[n] == nullptr && !is_cheap) return false;
    }
    return true;
  }

  // No member reads a sum that another one makes: it is there behind the last piece only.
  [[nodiscard]] bool computes_alone(std::size_t group) const {
    for (const std::size_t n : members_[group]) {
      for (const ValueId id : graph_.nodes[n].inputs) {
        const int32_t producer = graph_.value(id).producer;
        const bool is_ours = producer >= 0 && group_[static_cast<std::size_t>(producer)] == group;
        if (is_ours && graph_.shape(id) != *shapes_[n]) return false;
      }
    }
    return true;
  }

  // All groups, each behind those whose results it reads, and otherwise by their last members; nothing where they read
  // each other in a circle.
  [[nodiscard]] std::optional<std::vector<std::size_t>> order_of_groups() const {
    std::vector<std::vector<std::size_t>> readers(members_.size());
    std::vector<int> missing(members_.size(), 0);
    std::size_t count = 0;
    using Entry = std::pair<std::size_t, std::size_t>;  // last member, group
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    for (std::size_t group = 0; group < members_.size(); ++group) {
      if (!members_[group].empty()) ++count;
      for (const std::size_t n : members_[group]) {
        for (const ValueId id : graph_.nodes[n].inputs) {
          const int32_t producer = id.valid() ? graph_.value(id).producer : -1;
          if (producer < 0 || group_[static_cast<std::size_t>(producer)] == group) continue;
          readers[group_[static_cast<std::size_t>(producer)]].push_back(group);
          ++missing[group];
        }
      }
      if (!members_[group].empty() && missing[group] == 0) ready.emplace(members_[group].back(), group);
    }
    std::vector<std::size_t> order;
    while (!ready.empty()) {
      const std::size_t group = ready.top().second;
      ready.pop();
      order.push_back(group);
      for (const std::size_t reader : readers[group]) {
        if (--missing[reader] == 0) ready.emplace(members_[reader].back(), reader);
      }
    }
    if (order.size() < count) return std::nullopt;
    return order;
  }

  [[nodiscard]] Node fused(const std::vector<std::size_t>& members) const {
    Node node{.op = table_.find("Elementwise"), .name = {}, .attrs = {}, .inputs = {}, .outputs = {}};
    const std::size_t group = group_[members[0]];
    std::vector<ValueId> made;
    for (const std::size_t n : members) {
      const Node& member = graph_.nodes[n];
      if (node.name.empty() && member.op->name != "Cast") node.name = member.name;
      for (const ValueId id : member.inputs) {
        const bool is_known = std::find(node.inputs.begin(), node.inputs.end(), id) != node.inputs.end() ||
                              std::find(made.begin(), made.end(), id) != made.end();
        if (!is_known) node.inputs.push_back(id);
      }
      made.push_back(member.outputs[0]);
      if (is_read_outside(member.outputs[0], group)) node.outputs.push_back(member.outputs[0]);
      node.body.push_back(member);
    }
    if (node.name.empty()) node.name = node.body[0].name;
    return node;
  }

  [[nodiscard]] bool is_read_outside(ValueId id, std::size_t group) const {
    if (std::find(graph_.outputs.begin(), graph_.outputs.end(), id) != graph_.outputs.end()) return true;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const std::vector<ValueId>& inputs = graph_.nodes[n].inputs;
      if (group_[n] != group && std::find(inputs.begin(), inputs.end(), id) != inputs.end()) return true;
    }
    return false;
  }

  Graph& graph_;
  const OpTable& table_;
  std::vector<const Shape*> shapes_;               // per node: of its images; null where it is in no group
  std::vector<std::size_t> group_;                 // per node
  std::vector<std::vector<std::size_t>> members_;  // per group, in order; empty where it went into another
};

}  // namespace

void fuse_elementwise(Graph& graph, const OpTable& table) {
  drop_unread_nodes(graph);  // gradients of what is flat (Floor) are made and not read
  ElementwiseFusion(graph, table).run();
}

}  // namespace hourglass
