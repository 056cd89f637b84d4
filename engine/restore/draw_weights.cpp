#include "engine/restore/draw_weights.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string_view>

#include "graph/op.h"

namespace hourglass {
namespace {

// How many inputs each output of a convolution or a matrix product sums up, by the shape of its weights; 0 where that
// is not known.
int64_t fan_in_of(const Node& node, const Shape& weights) {
  const int rank = weights.rank();
  if (node.op->name == "MatMul") {
    if (rank < 2) return 0;
    return weights[node.attrs.integer("trans_b") != 0 ? rank - 1 : rank - 2];
  }
  if (rank < 2) return 0;
  int64_t count = weights[1];  // of a transposed convolution too, as PyTorch counts
  for (int axis = 2; axis < rank; ++axis) count *= weights[axis];
  return count;
}

class Drawing {
 public:
  explicit Drawing(Graph& graph) : graph_(graph), fan_ins_(graph.values.size()) {}

  std::vector<std::string> run() {
    for (const Node& node : graph_.nodes) visit(node);
    std::vector<std::string> kept;
    for (const ValueId id : graph_.parameters()) {
      Value& value = graph_.value(id);
      if (value.data == nullptr) continue;
      if (const auto start = starts_.find(id); start != starts_.end()) {
        HostTensor same(DType::f32, value.type.shape);
        std::fill(same.values.begin(), same.values.end(), start->second);
        value.data = std::make_shared<const HostTensor>(std::move(same));
      } else if (const auto bound = bounds_.find(id); bound != bounds_.end()) {
        value.init = {.kind = Init::Kind::uniform, .low = -bound->second, .high = bound->second};
        value.data.reset();
      } else {
        kept.push_back(value.name);
      }
    }
    for (const ValueId id : graph_.inputs) graph_.value(id).data.reset();
    return kept;
  }

 private:
  [[nodiscard]] bool is_parameter(ValueId id) const {
    return id.valid() && graph_.value(id).kind == ValueKind::parameter;
  }
  int64_t& fan_in(ValueId id) { return fan_ins_[static_cast<std::size_t>(id.index)]; }

  void draw(ValueId parameter, int64_t fan_in) {
    if (is_parameter(parameter) && fan_in > 0) bounds_[parameter] = 1 / std::sqrt(static_cast<double>(fan_in));
  }

  void visit(const Node& node) {
    const std::string_view op = node.op->name;
    const std::vector<ValueId>& in = node.inputs;
    if (op == "Conv" || op == "ConvGradSrc" || op == "MatMul") {
      // A linear layer's weights are often transposed first.
      const int32_t producer = graph_.value(in[1]).producer;
      const bool turned = producer >= 0 && graph_.nodes[static_cast<std::size_t>(producer)].op->name == "Transpose";
      const ValueId weights = turned ? graph_.nodes[static_cast<std::size_t>(producer)].inputs[0] : in[1];
      const int64_t count = fan_in_of(node, graph_.shape(in[1]));
      draw(weights, count);
      if (in.size() > 2) draw(in[2], count);
      fan_in(node.outputs[0]) = count;
    } else if (op == "Add") {
      // The bias of a matrix product or a transposed convolution.
      for (const std::size_t i : {0U, 1U}) draw(in[i], fan_in(in[1 - i]));
    } else if (op == "BatchNormalization") {
      if (is_parameter(in[1])) starts_[in[1]] = 1;
      if (is_parameter(in[2])) starts_[in[2]] = 0;
    }
  }

  Graph& graph_;
  std::vector<int64_t> fan_ins_;      // of the layer that computes a value; 0 for other values
  std::map<ValueId, double> bounds_;  // of what is drawn
  std::map<ValueId, double> starts_;  // of what is the same number everywhere
};

}  // namespace

std::vector<std::string> draw_weights(Graph& graph) { return Drawing(graph).run(); }

}  // namespace hourglass
