#include "engine/restore/fitted_network.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "engine/runtime/plan.h"
#include "graph/error.h"
#include "graph/op.h"

namespace hourglass {
namespace {

std::shared_ptr<const HostTensor> tensor_of(const std::vector<float>& values, const Value& value) {
  if (static_cast<int64_t>(values.size()) != value.type.shape.elements()) {
    fail("{} values were given for '{}' of {}", values.size(), value.name, value.type.shape);
  }
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    fail("'{}' holds numbers that are not finite", value.name);
  }
  return std::make_shared<const HostTensor>(DType::f32, value.type.shape,
                                            std::vector<double>(values.begin(), values.end()));
}

std::vector<float> read_output(const Plan& plan, ValueId id) {
  const float* values = plan.output(id);
  return {values, values + plan.graph().shape(id).elements()};
}

// BatchNormalization with the statistics of the batch -> in inference mode. Their variance is taken from what the
// kernels use, 1 / sqrt(variance + epsilon).
void use_statistics(GraphBuilder& builder, const OpTable& table, Node& node, const std::vector<float>& mean,
                    const std::vector<float>& inv_std) {
  const double epsilon = node.attrs.real("epsilon");
  const Shape channels{static_cast<int64_t>(mean.size())};
  HostTensor variance(DType::f32, channels);
  for (std::size_t c = 0; c < inv_std.size(); ++c) {
    const double deviation = 1 / static_cast<double>(inv_std[c]);
    variance.values[c] = std::max(0.0, deviation * deviation - epsilon);
  }
  HostTensor means(DType::f32, channels, std::vector<double>(mean.begin(), mean.end()));
  node.op = table.find("BatchNormalizationInference");
  node.inputs.push_back(builder.constant(std::move(means), node.name + "/mean"));
  node.inputs.push_back(builder.constant(std::move(variance), node.name + "/variance"));
  node.outputs.resize(1);
  for (const char* of_training : {"momentum", "training_mode", "alpha"}) node.attrs.erase(of_training);
}

}  // namespace

void give_values(Graph& graph, const std::vector<std::vector<float>>& values) {
  const std::vector<ValueId> parameters = graph.parameters();
  if (parameters.size() != values.size()) {
    fail("{} sets of weights were given for a network with {}", values.size(), parameters.size());
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Value& value = graph.value(parameters[i]);
    value.data = tensor_of(values[i], value);
    value.init = {};
  }
}

Array network_input(const Graph& fitted) {
  const Value& input = fitted.value(fitted.inputs.at(0));
  return {.shape = input.type.shape.dims(), .values = {input.data->values.begin(), input.data->values.end()}};
}

FittedWeights fitted_weights(const Fit& fit) { return {.input = fit.input(), .parameters = fit.weights()}; }

FittedNetwork fitted_network(Graph network, const FittedWeights& weights, const OpTable& table, int threads) {
  give_values(network, weights.parameters);
  Value& input = network.value(network.inputs.at(0));
  input.data = tensor_of(weights.input, input);
  const ValueId image = network.outputs.at(0);
  std::vector<std::size_t> normalizations;
  for (std::size_t n = 0; n < network.nodes.size(); ++n) {
    if (network.nodes[n].op->name == "BatchNormalization") normalizations.push_back(n);
  }

  Graph measured = network;
  for (const std::size_t n : normalizations) {
    const Node& node = network.nodes[n];
    measured.outputs.insert(measured.outputs.end(), {node.outputs[1], node.outputs[2]});
  }
  Plan plan(std::move(measured), {.threads = threads});
  const std::vector<ValueId> parameters = network.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) plan.write(parameters[i], weights.parameters[i]);
  plan.write(network.inputs[0], weights.input);
  plan.run();

  FittedNetwork fitted{.graph = std::move(network), .image = read_output(plan, image)};
  GraphBuilder builder(fitted.graph, table);
  for (const std::size_t n : normalizations) {
    Node& node = fitted.graph.nodes[n];
    use_statistics(builder, table, node, read_output(plan, node.outputs[1]), read_output(plan, node.outputs[2]));
  }
  return fitted;
}

}  // namespace hourglass
