// How files' BatchNormalization reaches the canonical form, what is refused, and a result worked out by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

struct Normalized {
  Attrs attrs;
  std::size_t inputs = 0, outputs = 0;
  std::vector<std::string> notes;
};

Normalized normalize(int opset, std::size_t output_count, Attrs attrs) {
  Graph graph;
  std::string op = "BatchNormalization";
  std::vector<ValueId> inputs(5, kNoValue);
  std::vector<std::string> outputs(output_count, "y");
  Normalized node{.attrs = std::move(attrs), .notes = {}};
  NormalizeContext ctx{.opset = opset,
                       .op = op,
                       .attrs = node.attrs,
                       .inputs = inputs,
                       .outputs = outputs,
                       .graph = graph,
                       .notes = node.notes};
  op_table().find(op)->normalize(ctx);
  node.inputs = inputs.size();
  node.outputs = outputs.size();
  return node;
}

std::string refusal(const std::vector<TensorType>& inputs) {
  Graph graph;
  GraphBuilder b(graph, op_table());
  std::vector<ValueId> ids;
  for (const TensorType& type : inputs) ids.push_back(b.input("x", type));
  try {
    b.add("BatchNormalization", ids);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("BatchNormalization of every opset comes down to three inputs and batch statistics") {
  struct Case {
    int opset;
    std::size_t outputs;
    Attrs attrs;
    bool trains;
  };
  const std::vector<Case> cases = {
      {1, 5, {{"consumed_inputs", Dims{0, 0, 0, 1, 1}}, {"is_test", int64_t{0}}, {"spatial", int64_t{1}}}, true},
      {6, 1, {{"is_test", int64_t{1}}}, false},
      {6, 1, {}, true},
      {7, 1, {{"spatial", int64_t{1}}}, false},
      {9, 5, {}, true},
      {9, 1, {}, false},
      {14, 1, {}, false},
      {14, 3, {{"training_mode", int64_t{1}}}, true},
      {15, 1, {{"training_mode", int64_t{1}}, {"momentum", 0.1}}, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.opset);
    CAPTURE(c.outputs);
    Normalized node = normalize(c.opset, c.outputs, c.attrs);
    CHECK(node.inputs == 3);
    CHECK(node.outputs == 1);
    CHECK(node.notes.size() == (c.trains ? 0 : 1));
    CHECK_NOTHROW(complete_attrs(*op_table().find("BatchNormalization"), node.attrs));
    CHECK(node.attrs.integer("training_mode") == (c.trains ? 1 : 0));
  }
  CHECK_THROWS_AS(normalize(7, 1, {{"spatial", int64_t{0}}}), Error);
}

TEST_CASE("BatchNormalization says what is wrong") {
  const TensorType src{DType::f32, {1, 3, 4, 4}}, channels{DType::f32, {3}};
  CHECK(refusal({src, channels, channels}).empty());
  CHECK(contains(refusal({src, {DType::f32, {4}}, channels}), "scale is f32:4, expected f32:3"));
  CHECK(contains(refusal({src, channels, {DType::bf16, {3}}}), "bias is bf16:3, expected f32:3"));
  CHECK(contains(refusal({{DType::f32, {3}}, channels, channels}), "src has shape 3, expected at least [N,C]"));
  CHECK(contains(refusal({{DType::i64, {1, 3}}, channels, channels}), "src has i64 elements"));
}

TEST_CASE("BatchNormalization by hand") {
  // Two channels of two pixels: means 2 and 10, deviations 1 and 2.
  const HostTensor src(DType::f32, Shape{1, 2, 1, 2}, {1, 3, 8, 12});
  const HostTensor scale(DType::f32, Shape{2}, {2, 1}), bias(DType::f32, Shape{2}, {0.5, -0.25});
  const OpDef& op = *op_table().find("BatchNormalization");
  Attrs attrs{{"epsilon", 0.0}, {"alpha", 0.5}};
  complete_attrs(op, attrs);
  const std::vector<HostTensor> out = evaluate_reference(op, attrs, {&src, &scale, &bias});
  CHECK(out[0].values == std::vector<double>{-0.75, 2.5, -0.625, 0.75});
  CHECK(out[1].values == std::vector<double>{2, 10});
  CHECK(out[2].values == std::vector<double>{1, 0.5});
}

}  // namespace hourglass::test
