// Networks as PyTorch exports them (scripts/golden_exports.py): hundreds of nodes that compute sizes, all of which
// fold.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "graph/autodiff.h"
#include "graph/evaluate.h"
#include "graph/onnx_export.h"
#include "graph/onnx_import.h"
#include "graph/op.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(HOURGLASS_TEST_DATA) / "onnx";
constexpr const char* kFiles[] = {"skip_9_training.onnx",  "skip_9_eval.onnx",      "skip_11_training.onnx",
                                  "skip_11_eval.onnx",     "skip_13_training.onnx", "skip_13_eval.onnx",
                                  "skip_17_training.onnx", "skip_17_eval.onnx"};

int64_t count(const Graph& graph, std::string_view op) {
  return std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.op->name == op; });
}

TEST_CASE("PyTorch's exports bind to any size and come down to the network") {
  for (const std::string name : kFiles) {
    CAPTURE(name);
    const bool trains = name.find("training") != std::string::npos;
    const OnnxFile file = OnnxFile::read(kFolder / name);
    CHECK(file.image_input().height == 0);
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{64, 64}, {96, 64}}) {
      const ImportedModel model = file.bind(op_table(), {.height = height, .width = width});
      const Graph& graph = model.graph;
      CHECK(graph.shape(graph.outputs[0]) == Shape{1, 3, height, width});
      CHECK(count(graph, "Conv") == 11);
      // For evaluation, PyTorch merges every BatchNormalization behind a Conv into the Conv.
      CHECK(count(graph, "BatchNormalization") == (trains ? 12 : 2));
      CHECK(count(graph, "Pad") == 6);  // those of the 1x1 convolutions pad nothing
      CHECK(count(graph, "Resize") == 2);
      CHECK(graph.nodes.size() == (trains ? 44 : 34));  // with 10 LeakyRelu, 2 Concat, 1 Sigmoid: nothing else
      CHECK(graph.parameters().size() == 22 + (trains ? 24 : 4));
      CHECK(graph.all(ValueKind::constant).empty());
      // All of it, back and forth: a file for evaluation says afterwards that it trains, as it does here.
      const Graph again = import_onnx(export_onnx(graph), "again.onnx", op_table()).graph;
      CHECK((to_string(again) == to_string(graph)) == trains);
      CHECK(to_string(import_onnx(export_onnx(again), "again.onnx", op_table()).graph) == to_string(again));
    }
  }
}

TEST_CASE("an odd size: the cuts are cut") {
  const Graph graph = import_onnx(kFolder / "skip_13_training.onnx", op_table(), {.height = 25, .width = 18}).graph;
  CHECK(count(graph, "Slice") >= 1);
  CHECK(graph.shape(graph.outputs[0]) == Shape{1, 3, 25, 18});
}

TEST_CASE("the imported network computes what PyTorch computed") {
  const auto golden = read_tensors(kFolder / "skip_golden.onnx");
  for (const std::string opset : {"9", "11", "13", "17"}) {
    CAPTURE(opset);
    const std::string prefix = opset == "9" ? "plain_" : "";
    const HostTensor& input = golden.at(prefix + "input");
    const HostTensor& output = golden.at(prefix + "output");
    const Graph graph = import_onnx(kFolder / ("skip_" + opset + "_training.onnx"), op_table(),
                                    {.height = input.shape[2], .width = input.shape[3]})
                            .graph;
    const HostTensor result = evaluate(graph, {{graph.inputs[0], input}}, graph.outputs).front();
    REQUIRE(result.shape == output.shape);
    double worst = 0;
    for (std::size_t i = 0; i < result.values.size(); ++i) {
      worst = std::max(worst, std::abs(result.values[i] - output.values[i]));
    }
    CHECK(worst < 1e-6);  // both computed in double; input and output stored in float
  }
}

TEST_CASE("the imported network has gradients for all of its parameters") {
  Graph graph = import_onnx(kFolder / "skip_17_training.onnx", op_table(), {.height = 32, .width = 32}).graph;
  GraphBuilder b(graph, op_table());
  const ValueId loss = b.add("ReduceMean", {graph.outputs[0]}, {{"keepdims", int64_t{0}}}, "loss");
  const std::vector<ValueId> parameters = graph.parameters();
  const Differentiated d = differentiate(graph, op_table(), loss, parameters);
  for (const ValueId gradient : d.gradients) CHECK(d.graph.value(gradient).kind == ValueKind::computed);
  CHECK_NOTHROW(export_onnx(d.graph));
}

}  // namespace
}  // namespace hourglass::test
