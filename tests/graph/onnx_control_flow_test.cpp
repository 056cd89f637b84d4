// Functions of a file's own: what the importer writes out.
#include <doctest/doctest.h>

#include "graph/error.h"
#include "graph/evaluate.h"
#include "graph/onnx_import.h"
#include "ops/table.h"
#include "tests/graph/onnx_maker.h"

namespace hourglass::test {
namespace {

ImportedModel bind(const ModelMaker& m, int64_t height = 4, int64_t width = 3) {
  return import_onnx(m.bytes(), "m.onnx", op_table(), {.height = height, .width = width});
}

std::string refusal(const ModelMaker& m) {
  try {
    bind(m);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

// Of an image of -1.0, -0.9, ...
std::vector<double> result_of(const Graph& graph) {
  HostTensor image(DType::f32, graph.shape(graph.inputs[0]));
  for (std::size_t i = 0; i < image.values.size(); ++i) image.values[i] = 0.1 * static_cast<double>(i) - 1;
  return evaluate(graph, {{graph.inputs[0], image}}, {graph.outputs[0]})[0].values;
}

onnx::NodeProto& add_node(auto& graph, const std::string& op, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs, const std::string& name = {}) {
  auto& node = *graph.add_node();
  node.set_op_type(op);
  node.set_name(name);
  for (const auto& in : inputs) node.add_input(in);
  for (const auto& out : outputs) node.add_output(out);
  return node;
}

void add_reference(onnx::NodeProto& node, const std::string& name, const std::string& to,
                   onnx::AttributeProto::AttributeType type) {
  auto& attr = *node.add_attribute();
  attr.set_name(name);
  attr.set_ref_attr_name(to);
  attr.set_type(type);
}

onnx::FunctionProto& add_function(ModelMaker& m, const std::string& name, const std::vector<std::string>& inputs,
                                  const std::vector<std::string>& outputs, int opset = 13) {
  m.model.set_ir_version(8);
  if (m.model.opset_import_size() == 1) {
    auto& import = *m.model.add_opset_import();
    import.set_domain("my");
    import.set_version(1);
  }
  auto& function = *m.model.add_functions();
  function.set_name(name);
  function.set_domain("my");
  auto& import = *function.add_opset_import();
  import.set_domain("");
  import.set_version(opset);
  *function.add_opset_import() = m.model.opset_import(1);
  for (const auto& in : inputs) function.add_input(in);
  for (const auto& out : outputs) function.add_output(out);
  return function;
}

// x -> Conv 1x1 -> LeakyRelu -> Conv 1x1 -> LeakyRelu -> y, with slopes of 0.3 and 0.5.
ModelMaker two_layers() {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.floats("w1", {3, 3, 1, 1});
  m.floats("w2", {3, 3, 1, 1});
  return m;
}

}  // namespace

TEST_CASE("functions of the file's own stand in their callers' places") {
  ModelMaker plain = two_layers();
  plain.node("Conv", {"x", "w1"}, {"a"});
  ModelMaker::attr(plain.node("LeakyRelu", {"a"}, {"b"}), "alpha", 0.3F);
  plain.node("Conv", {"b", "w2"}, {"c"});
  ModelMaker::attr(plain.node("LeakyRelu", {"c"}, {"y"}), "alpha", 0.5F);
  plain.output("y");

  ModelMaker m = two_layers();
  auto& layer = add_function(m, "ConvAct", {"in", "weight"}, {"out"});
  layer.add_attribute("slope");
  add_node(layer, "Conv", {"in", "weight"}, {"x"});  // as the file calls its own image
  add_reference(add_node(layer, "LeakyRelu", {"x"}, {"out"}), "alpha", "slope", onnx::AttributeProto::FLOAT);
  // One that calls the other, and passes an input on.
  auto& pass = add_function(m, "Pass", {"in", "weight"}, {"out", "weight"});
  pass.add_attribute("slope");
  auto& inner = add_node(pass, "ConvAct", {"in", "weight"}, {"out"});
  inner.set_domain("my");
  add_reference(inner, "slope", "slope", onnx::AttributeProto::FLOAT);
  auto& first = m.node("ConvAct", {"x", "w1"}, {"b"}, "first");
  first.set_domain("my");
  ModelMaker::attr(first, "slope", 0.3F);
  auto& second = m.node("Pass", {"b", "w2"}, {"y", "same"}, "second");
  second.set_domain("my");
  ModelMaker::attr(second, "slope", 0.5F);
  m.output("y");

  const Graph wanted = bind(plain).graph, got = bind(m).graph;
  CHECK(result_of(got) == result_of(wanted));
  CHECK(got.parameters().size() == 2);
  CHECK(got.nodes[0].name == "first/Conv");
  CHECK(got.nodes[2].name == "second/ConvAct/Conv");
  CHECK(got.value(got.outputs[0]).name == "y");
  // Not given: the op's own default.
  m.model.mutable_graph()->mutable_node(0)->clear_attribute();
  CHECK(bind(m).graph.nodes[1].attrs.real("alpha") == 0.01);
}

TEST_CASE("functions that can't be written out") {
  const auto calling = [](int opset, int calls) {
    ModelMaker m = two_layers();
    auto& function = add_function(m, "Soft", {"in"}, {"out"}, opset);
    std::string last = "in";
    for (int i = 0; i < calls; ++i) {
      const std::string next = i + 1 == calls ? "out" : "v" + std::to_string(i);
      add_node(function, "Softmax", {last}, {next});
      last = next;
    }
    m.node("Conv", {"x", "w1"}, {"h"});
    m.node("Soft", {"h"}, {"y"}, "call").set_domain("my");
    m.output("y");
    return m;
  };
  CHECK(refusal(calling(13, 1)) == "accepted");
  // Softmax flattens up to opset 12.
  CHECK(refusal(calling(12, 1)) ==
        "m.onnx: function 'Soft' is written for opset 12, in which Softmax is another than in the model's 13");
  // Ten functions, each calling the next one ten times.
  ModelMaker many = two_layers();
  for (int i = 0; i < 10; ++i) {
    auto& function = add_function(many, "F" + std::to_string(i), {"in"}, {"out"});
    std::string last = "in";
    for (int k = 0; k < 10; ++k) {
      const std::string next = k == 9 ? "out" : "v" + std::to_string(k);
      auto& call = add_node(function, i == 9 ? "Relu" : "F" + std::to_string(i + 1), {last}, {next});
      if (i < 9) call.set_domain("my");
      last = next;
    }
  }
  many.node("F0", {"x"}, {"y"}).set_domain("my");
  many.output("y");
  CHECK(refusal(many) == "m.onnx: has more than 100000 nodes, once its functions are written out");
}

}  // namespace hourglass::test
