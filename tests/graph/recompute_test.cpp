#include "graph/recompute.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "graph/autodiff.h"
#include "graph/evaluate.h"
#include "ops/fused/fuse.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

HostTensor filled(const TensorType& type, double step) {
  HostTensor tensor(DType::f32, type.shape);
  for (std::size_t i = 0; i < tensor.values.size(); ++i) tensor.values[i] = std::sin(step * static_cast<double>(i + 1));
  return tensor;
}

// conv - BN - LeakyRelu - upsample - concat with the input - BN - conv - mean of squares.
struct Net {
  Graph graph;
  GraphBuilder b{graph, op_table()};
  ValueId z, loss;
  std::vector<ValueId> parameters;

  Net() {
    z = b.input("z", {DType::f32, Shape{1, 3, 8, 8}});
    const auto parameter = [&](Dims shape) {
      parameters.push_back(
          b.parameter(fmt::format("p{}", parameters.size()), {DType::f32, Shape(std::move(shape))}, {}));
      return parameters.back();
    };
    ValueId x =
        b.add("Conv", {z, parameter({4, 3, 3, 3})}, {{"pads", Dims{1, 1, 1, 1}}, {"strides", Dims{2, 2}}}, "down");
    x = b.add_all("BatchNormalization", {x, parameter({4}), parameter({4})}, {}, "bn1")[0];
    x = b.add("LeakyRelu", {x}, {{"alpha", 0.2}}, "act");
    x = b.add("Resize", {x}, {{"mode", std::string("linear")}, {"scales", Floats{1, 1, 2, 2}}}, "up");
    x = b.add("Concat", {x, z}, {{"axis", int64_t{1}}}, "cat");
    x = b.add_all("BatchNormalization", {x, parameter({7}), parameter({7})}, {}, "bn2")[0];
    x = b.add("Conv", {x, parameter({2, 7, 3, 3})}, {{"pads", Dims{1, 1, 1, 1}}}, "out");
    loss = b.add("ReduceMean", {b.add("Mul", {x, x})}, {{"keepdims", int64_t{0}}}, "loss");
    graph.outputs = {loss};
    fuse(graph, op_table());
  }
};

std::map<ValueId, HostTensor> evaluated(const Graph& graph, const std::vector<ValueId>& given) {
  std::map<ValueId, HostTensor> values;
  for (const ValueId id : given) values[id] = filled(graph.type(id), 0.7 + 0.1 * static_cast<double>(id.index));
  for (const ValueId id : graph.all(ValueKind::constant)) values[id] = *graph.value(id).data;
  for (const Node& node : graph.nodes) {
    std::vector<const HostTensor*> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(id.valid() ? &values.at(id) : nullptr);
    std::vector<HostTensor> outputs = evaluate_reference(*node.op, node.attrs, inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) values[node.outputs[i]] = std::move(outputs[i]);
  }
  return values;
}

TEST_CASE("what is cheap is computed again for the backward pass, and nothing changes") {
  const Net net;
  Differentiated d = differentiate(net.graph, op_table(), net.loss, net.parameters);
  std::vector<ValueId> given = net.parameters;
  given.push_back(net.z);
  const auto kept = evaluated(d.graph, given);
  const std::size_t before = d.graph.nodes.size();
  recompute(d.graph, op_table(), net.graph.nodes.size(), 0);
  // bn1 with its LeakyRelu, up, and bn2 with cat.
  CHECK(d.graph.nodes.size() == before + 3);
  const auto again = evaluated(d.graph, given);
  for (const ValueId id : d.gradients) {
    const HostTensor &a = kept.at(id), &b = again.at(id);
    for (std::size_t i = 0; i < a.values.size(); ++i) CHECK(a.values[i] == doctest::Approx(b.values[i]).epsilon(1e-12));
  }

  // The forward pass's own are read by the forward pass only.
  for (std::size_t n = net.graph.nodes.size(); n < d.graph.nodes.size(); ++n) {
    for (const ValueId id : d.graph.nodes[n].inputs) {
      if (!id.valid()) continue;
      const int32_t producer = d.graph.value(id).producer;
      CHECK(producer < static_cast<int32_t>(n));
      if (producer < 0 || static_cast<std::size_t>(producer) >= net.graph.nodes.size()) continue;
      const Node& node = d.graph.nodes[static_cast<std::size_t>(producer)];
      CHECK_MESSAGE((node.op->again.empty() || node.outputs[0] != id), node.name);
    }
  }
}

TEST_CASE("small values are kept") {
  const Net net;
  Differentiated d = differentiate(net.graph, op_table(), net.loss, net.parameters);
  const std::string before = to_string(d.graph);
  recompute(d.graph, op_table(), net.graph.nodes.size(), 1 << 20);
  CHECK(to_string(d.graph) == before);
}

}  // namespace
}  // namespace hourglass::test
