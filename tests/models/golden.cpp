#include "tests/models/golden.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/error.h"
#include "graph/onnx_import.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

// As tests/CMakeLists.txt defines it.
const std::string kFolder = std::string(HOURGLASS_TEST_DATA) + "/golden/";
const std::string kGradient = "grad64/";

}  // namespace

const std::vector<GoldenCase>& golden_cases() {
  static const std::vector<GoldenCase> cases{
      {.name = "skip", .options = {.channels = {8, 16}, .skips = {4, 4}, .input_depth = 3}, .height = 24, .width = 32},
      {.name = "skip-0-4",
       .options = {.channels = {8, 16}, .skips = {0, 4}, .input_depth = 3},
       .height = 20,
       .width = 28},
  };
  return cases;
}

Golden::Golden(const GoldenCase& c) : graph(make_skip(c.options, c.height, c.width)) {
  for (auto& [name, tensor] : read_tensors(kFolder + c.name + ".onnx")) tensors_.emplace(name, std::move(tensor));
  for (const auto& [name, tensor] : tensors_) {
    if (name.starts_with(kGradient)) largest_gradient_ = std::max(largest_gradient_, largest(tensor));
  }
  parameters = graph.parameters();
  z = graph.inputs[0];
  image = graph.outputs[0];
  GraphBuilder builder(graph, op_table());
  target = builder.input("target", graph.type(image));
  const ValueId difference = builder.add("Sub", {image, target}, {}, "difference");
  const ValueId square = builder.add("Mul", {difference, difference}, {}, "square");
  loss = builder.add("ReduceMean", {square}, {{"axes", Dims{0, 1, 2, 3}}, {"keepdims", int64_t{0}}}, "loss");
  graph.outputs = {loss, image};
}

const HostTensor& Golden::at(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) fail("the golden data has no '{}'", name);
  return it->second;
}

std::map<ValueId, HostTensor> Golden::given() const {
  std::map<ValueId, HostTensor> values{{z, at("z")}, {target, at("target")}};
  for (const ValueId id : parameters) values.emplace(id, at("init/" + graph.value(id).name));
  return values;
}

bool Golden::matters(const std::string& parameter) const {
  return largest(at(kGradient + parameter)) > 1e-9 * largest_gradient_;
}

double largest(const HostTensor& tensor) {
  double most = 0;
  for (const double value : tensor.values) most = std::max(most, std::abs(value));
  return most;
}

double largest_difference(const HostTensor& a, const HostTensor& b) {
  if (a.values.size() != b.values.size()) return std::numeric_limits<double>::infinity();
  double most = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const double difference = std::abs(a.values[i] - b.values[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    most = std::max(most, difference);
  }
  return most;
}

}  // namespace hourglass::test
