#include "models/cost.h"

#include "graph/op.h"

namespace hourglass {
namespace {

// Per element of the destination (Conv) or of the source (ConvGradSrc, a transposed convolution), whose weights are
// [IC, OC/group, KH, KW]: both times the elements of one slice of the weights along the first axis.
double multiply_adds(const Graph& graph, const Node& node) {
  const auto slice = [&] {
    const Shape& weights = graph.shape(node.inputs[1]);
    return static_cast<double>(weights.elements()) / static_cast<double>(weights[0]);
  };
  if (node.op->name == "Conv") return slice() * static_cast<double>(graph.shape(node.outputs[0]).elements());
  if (node.op->name == "ConvGradSrc") return slice() * static_cast<double>(graph.shape(node.inputs[0]).elements());
  if (node.op->name == "MatMul") {
    const bool transposed = node.attrs.integer("trans_a") != 0;
    return static_cast<double>(graph.shape(node.inputs[0])[transposed ? -2 : -1]) *
           static_cast<double>(graph.shape(node.outputs[0]).elements());
  }
  return 0;
}

}  // namespace

NetworkCost cost_of(const Graph& graph) {
  NetworkCost total;
  std::vector<bool> trained(graph.values.size(), false);  // depends on a parameter
  std::vector<bool> counted(graph.values.size(), false);
  for (const ValueId id : graph.parameters()) trained[at(id)] = true;

  for (const Node& node : graph.nodes) {
    LayerCost layer{.name = node.name, .op = std::string(node.op->name), .shape = graph.shape(node.outputs[0])};
    bool any = false;
    for (const ValueId id : node.inputs) {
      if (!id.valid()) continue;
      any = any || trained[at(id)];
      if (graph.value(id).kind != ValueKind::parameter || counted[at(id)]) continue;
      counted[at(id)] = true;
      layer.parameters += graph.shape(id).elements();
    }
    for (const ValueId id : node.outputs) trained[at(id)] = any;

    layer.forward_flops = 2 * multiply_adds(graph, node);
    if (layer.forward_flops > 0) {
      const int gradients = (trained[at(node.inputs[0])] ? 1 : 0) + (trained[at(node.inputs[1])] ? 1 : 0);
      layer.training_flops = layer.forward_flops * (1 + gradients);
    }
    total.parameters += layer.parameters;
    total.forward_flops += layer.forward_flops;
    total.training_flops += layer.training_flops;
    total.layers.push_back(std::move(layer));
  }
  return total;
}

}  // namespace hourglass
