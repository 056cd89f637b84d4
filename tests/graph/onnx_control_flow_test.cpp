// Functions of a file's own, If and Loop: what the importer writes out.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

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

int count_of(const Graph& graph, std::string_view op) {
  return static_cast<int>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.op->name == op; }));
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

onnx::GraphProto& add_graph(onnx::NodeProto& node, const std::string& name, const std::vector<std::string>& outputs) {
  auto& attr = *node.add_attribute();
  attr.set_name(name);
  attr.set_type(onnx::AttributeProto::GRAPH);
  auto& graph = *attr.mutable_g();
  graph.set_name(name);
  for (const std::string& output : outputs) {
    auto& info = *graph.add_output();
    info.set_name(output);
    info.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  }
  return graph;
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

// A file with an If: shape of x, its height above four?
ModelMaker with_if(const std::function<void(onnx::GraphProto&)>& then,
                   const std::function<void(onnx::GraphProto&)>& other) {
  ModelMaker m = small_model();
  m.model.mutable_graph()->mutable_output()->Clear();
  m.ints("two", {2}).clear_dims();
  m.ints("four", {4}).clear_dims();
  m.node("Shape", {"x"}, {"shape"});
  m.node("Gather", {"shape", "two"}, {"height"});
  m.node("Greater", {"height", "four"}, {"is_large"});
  auto& node = m.node("If", {"is_large"}, {"z"}, "choice");
  then(add_graph(node, "then_branch", {"out"}));
  other(add_graph(node, "else_branch", {"out"}));
  m.output("z");
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
  ModelMaker named = calling(13, 1);
  named.model.mutable_graph()->mutable_node(1)->set_name(std::string(5000, 'n'));
  CHECK(refusal(named) == "m.onnx: a name of 5001 characters is too long to call others after");
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

TEST_CASE("what a function's branches and loops call their values is not what the caller calls its own") {
  // z = y + 0.5 * 0.5, whatever y, the constants and what is computed in the function are called.
  const auto branching = [](const std::string& name) {
    ModelMaker m = two_layers();
    m.model.mutable_graph()->clear_initializer();
    m.floats("w1", {3, 3, 1, 1});
    m.floats("half", {1});
    m.empty("yes", {}, onnx::TensorProto::BOOL).add_int32_data(1);
    auto& function = add_function(m, "AddSquare", {"a", "condition", "k"}, {"b"});
    auto& node = add_node(function, "If", {"condition"}, {"b"});
    auto& then = add_graph(node, "then_branch", {"sum"});
    add_node(then, "Mul", {"k", "k"}, {"square"});
    add_node(then, "Add", {"a", "square"}, {"sum"});
    add_node(add_graph(node, "else_branch", {"square"}), "Identity", {"a"}, {"square"});
    m.node("Conv", {"x", "w1"}, {name});
    m.node("AddSquare", {name, "yes", "half"}, {"z"}, "call").set_domain("my");
    m.output("z");
    return m;
  };
  const std::vector<double> wanted = result_of(bind(branching("y")).graph);
  CHECK(result_of(bind(branching("square")).graph) == wanted);
  CHECK(result_of(bind(branching("sum")).graph) == wanted);
  CHECK(result_of(bind(branching("call/square")).graph) == wanted);

  // z = y + 2 * 0.5: the body's inputs and initializers.
  const auto looping = [](const std::string& name) {
    ModelMaker m = two_layers();
    m.model.mutable_graph()->clear_initializer();
    m.floats("w1", {3, 3, 1, 1});
    m.ints("two", {2}).clear_dims();
    auto& function = add_function(m, "AddTwice", {"a", "n"}, {"b"});
    add_node(function, "Identity", {"a"}, {"start"});
    auto& loop = add_node(function, "Loop", {"n", "", "start"}, {"b"});
    auto& body = add_graph(loop, "body", {"again", "next"});
    body.mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::BOOL);
    int type = onnx::TensorProto::INT64;
    for (const char* input : {"i", "go", "carried"}) {
      auto& info = *body.add_input();
      info.set_name(input);
      info.mutable_type()->mutable_tensor_type()->set_elem_type(type);
      if (type != onnx::TensorProto::FLOAT) info.mutable_type()->mutable_tensor_type()->mutable_shape();
      type = type == onnx::TensorProto::INT64 ? onnx::TensorProto::BOOL : onnx::TensorProto::FLOAT;
    }
    auto& half = *body.add_initializer();
    half.set_name("half");
    half.set_data_type(onnx::TensorProto::FLOAT);
    half.add_float_data(0.5F);
    add_node(body, "Identity", {"go"}, {"again"});
    add_node(body, "Sub", {"a", "carried"}, {"less"});  // 0, then -0.5
    add_node(body, "Sub", {"a", "less"}, {"same"});
    add_node(body, "Add", {"same", "half"}, {"next"});
    m.node("Conv", {"x", "w1"}, {name});
    m.node("AddTwice", {name, "two"}, {"z"}, "call").set_domain("my");
    m.output("z");
    return m;
  };
  const std::vector<double> twice = result_of(bind(looping("y")).graph);
  for (const char* name : {"carried", "half", "less", "next", "call/carried", "call/half"}) {
    CAPTURE(std::string(name));
    CHECK(result_of(bind(looping(name)).graph) == twice);
  }

  // A function's values beside those of the branch that calls it.
  const auto called_in_branch = [](const std::string& name) {
    ModelMaker m = with_if([](onnx::GraphProto& graph) { add_node(graph, "Relu", {"y"}, {"out"}); },
                           [&](onnx::GraphProto& graph) {
                             add_node(graph, "Neg", {"y"}, {name});
                             add_node(graph, "AddRelu", {name}, {"out"}, "call").set_domain("my");
                           });
    auto& function = add_function(m, "AddRelu", {"a"}, {"b"});
    add_node(function, "Relu", {"a"}, {"r"});
    add_node(function, "Add", {"a", "r"}, {"b"});
    return m;
  };
  CHECK(result_of(bind(called_in_branch("call/r")).graph) == result_of(bind(called_in_branch("other")).graph));
}

TEST_CASE("attributes that functions hand down are counted") {
  ModelMaker m = two_layers();
  add_node(add_function(m, "Leaf", {"in"}, {"out"}), "Relu", {"in"}, {"out"});
  const auto passing = [&](const std::string& name, const std::string& to, int times) {
    auto& function = add_function(m, name, {"in"}, {"out"});
    function.add_attribute("text");
    for (int i = 0; i < times; ++i) {
      auto& call = add_node(function, to, {i == 0 ? "in" : fmt::format("v{}", i)},
                            {i + 1 == times ? "out" : fmt::format("v{}", i + 1)});
      call.set_domain("my");
      add_reference(call, "text", "text", onnx::AttributeProto::STRING);
    }
  };
  passing("Inner", "Leaf", 40);
  passing("Outer", "Inner", 16);
  m.node("Conv", {"x", "w1"}, {"h"});
  auto& call = m.node("Outer", {"h"}, {"y"}, "call");
  call.set_domain("my");
  ModelMaker::attr(call, "text", std::string("short"));
  m.output("y");
  CHECK(refusal(m) == "accepted");
  call.mutable_attribute(0)->set_s(std::string(4 << 20, 'a'));
  CHECK(refusal(m) == "m.onnx: is larger than 2048 MiB, once its functions are written out");
}

TEST_CASE("a function of many values and many branches is written out") {
  constexpr int kMany = 600;
  ModelMaker m = two_layers();
  m.empty("yes", {}, onnx::TensorProto::BOOL).add_int32_data(1);
  auto& function = add_function(m, "Long", {"v0", "condition"}, {"out"});
  for (int i = 0; i < kMany; ++i) add_node(function, "Relu", {fmt::format("v{}", i)}, {fmt::format("v{}", i + 1)});
  for (int i = 0; i < kMany; ++i) {
    auto& node = add_node(function, "If", {"condition"}, {fmt::format("w{}", i)});
    for (const char* branch : {"then_branch", "else_branch"}) {
      add_node(add_graph(node, branch, {"t"}), "Identity", {"v0"}, {"t"});
    }
  }
  add_node(function, "Relu", {"v0"}, {"out"});
  m.node("Conv", {"x", "w1"}, {"h"});
  m.node("Long", {"h", "yes"}, {"y"}, "call").set_domain("my");
  m.output("y");
  CHECK(refusal(m) == "accepted");
}

TEST_CASE("If: the branch that the size decides for") {
  // Both use the same names; the one has a parameter of its own, the other reads the graph around it.
  const ModelMaker m = with_if(
      [](onnx::GraphProto& graph) {
        auto& scale = *graph.add_initializer();
        scale.set_name("scale");
        scale.set_data_type(onnx::TensorProto::FLOAT);
        for (const int64_t dim : {1, 4, 1, 1}) scale.add_dims(dim);
        for (int i = 0; i < 4; ++i) scale.add_float_data(static_cast<float>(i));
        add_node(graph, "Mul", {"y", "scale"}, {"h2"}, "node");
        add_node(graph, "Relu", {"h2"}, {"out"}, "last");
      },
      [](onnx::GraphProto& graph) {
        add_node(graph, "Neg", {"y"}, {"h2"}, "node");
        add_node(graph, "Sigmoid", {"h2"}, {"out"}, "last");
      });
  const Graph large = bind(m, 5).graph, small = bind(m, 4).graph;
  CHECK(count_of(large, "Relu") == 1);
  CHECK(count_of(large, "Sigmoid") == 0);
  CHECK(large.parameters().size() == 2);
  CHECK(large.find("choice/scale").valid());
  CHECK(large.value(large.outputs[0]).name == "z");
  CHECK(large.nodes.back().name == "choice/last");
  CHECK(count_of(small, "Relu") == 0);
  CHECK(count_of(small, "Sigmoid") == 1);
  CHECK(small.parameters().size() == 1);
  const Graph inner = bind(small_model()).graph;
  const std::vector<double> before = result_of(inner), after = result_of(small);
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(after[i] == doctest::Approx(1 / (1 + std::exp(before[i]))));

  const auto report = OnnxFile::parse(m.bytes(), "m.onnx").examine(op_table(), {.height = 4, .width = 3});
  CHECK(report.problems.empty());
  for (const NodeReport& node : report.nodes) CHECK(node.problem.empty());
}

TEST_CASE("If in If, and one that passes a value on") {
  const auto relu = [](onnx::GraphProto& graph) { add_node(graph, "Relu", {"y"}, {"out"}); };
  const ModelMaker nested = with_if(relu, [&](onnx::GraphProto& graph) {
    add_node(graph, "Neg", {"y"}, {"negative"});
    auto& node = add_node(graph, "If", {"is_large"}, {"out"}, "inner");
    auto& then = add_graph(node, "then_branch", {"out2"});
    add_node(then, "Relu", {"negative"}, {"out2"});
    auto& other = add_graph(node, "else_branch", {"out2"});
    add_node(other, "Tanh", {"negative"}, {"out2"});
  });
  const Graph graph = bind(nested).graph;
  CHECK(count_of(graph, "Tanh") == 1);
  CHECK(count_of(graph, "Relu") == 0);
  CHECK(graph.value(graph.outputs[0]).name == "z");
  const ModelMaker passed = with_if(relu, [](onnx::GraphProto& other) { add_node(other, "Identity", {"y"}, {"out"}); });
  CHECK(bind(passed).graph.nodes.size() >= 2);
}

TEST_CASE("an If that can't be decided, and branches that can't be run") {
  const auto relu = [](onnx::GraphProto& graph) { add_node(graph, "Relu", {"y"}, {"out"}); };
  const auto unknown = [](onnx::GraphProto& graph) {
    add_node(graph, "NonMaxSuppression", {"y", "y"}, {"out"}, "boxes");
  };
  CHECK(refusal(with_if(unknown, relu)) == "accepted");  // the branch that is not taken
  const ModelMaker taken = with_if(relu, unknown);
  CHECK(refusal(taken) == "m.onnx: node 'choice/boxes' (NonMaxSuppression): the op is not supported");
  const auto report = OnnxFile::parse(taken.bytes(), "m.onnx").examine(op_table(), {.height = 4, .width = 3});
  CHECK(report.nodes.back().problem == "node 'choice/boxes' (NonMaxSuppression): the op is not supported");

  ModelMaker named = with_if(relu, relu);
  named.model.mutable_graph()->mutable_node(named.model.graph().node_size() - 1)->set_name(std::string(5000, 'n'));
  CHECK(refusal(named).ends_with("a name of 5001 characters is too long to call others after"));

  ModelMaker content = with_if(relu, relu);
  content.ints("axes", {0, 1, 2, 3});
  auto& graph = *content.model.mutable_graph();
  auto* condition = graph.mutable_node(graph.node_size() - 1);
  REQUIRE(condition->op_type() == "If");
  onnx::NodeProto moved = *condition;
  graph.mutable_node()->RemoveLast();
  content.node("ReduceMax", {"x"}, {"brightest"});
  content.node("Greater", {"brightest", "brightest"}, {"is_bright"});
  moved.set_input(0, std::string("is_bright"));
  *graph.add_node() = moved;
  CHECK(refusal(content) ==
        "m.onnx: node 'choice' (If): condition (is_bright): depends on the image's content, it must be constant");
}

TEST_CASE("Loop: every iteration, as often as the size says") {
  // y <- 0.5 y + i, H/4 times; what each iteration starts from is stacked.
  const auto looping = [](bool stacks, const std::string& goes_on) {
    ModelMaker m;
    m.input("x", {1, 3, -1, -1});
    m.floats("w", {3, 3, 1, 1});
    m.node("Conv", {"x", "w"}, {"y"});
    m.ints("two", {2}).clear_dims();
    m.ints("four", {4}).clear_dims();
    m.node("Shape", {"x"}, {"shape"});
    m.node("Gather", {"shape", "two"}, {"height"});
    m.node("Div", {"height", "four"}, {"trips"});
    auto& loop = m.node("Loop", {"trips", "", "y"},
                        stacks ? std::vector<std::string>{"end", "all"} : std::vector<std::string>{"end"}, "loop");
    auto& body = add_graph(loop, "body", {goes_on, "next"});
    for (const char* name : {"i", "cond", "carried"}) body.add_input()->set_name(name);
    for (int k = 0; k < 3; ++k) {
      auto& type = *body.mutable_input(k)->mutable_type()->mutable_tensor_type();
      type.set_elem_type(k == 0   ? onnx::TensorProto::INT64
                         : k == 1 ? onnx::TensorProto::BOOL
                                  : onnx::TensorProto::FLOAT);
      if (k < 2) type.mutable_shape();
    }
    body.mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::BOOL);
    m.floats("half", {}).set_float_data(0, 0.5F);
    if (goes_on == "again") add_node(body, "Identity", {"cond"}, {"again"});
    if (goes_on == "early") add_node(body, "Less", {"i", "two"}, {"early"});  // iterations 0, 1 and 2
    add_node(body, "Mul", {"carried", "half"}, {"less"}, "scale");
    ModelMaker::attr(add_node(body, "Cast", {"i"}, {"number"}), "to", int64_t{onnx::TensorProto::FLOAT});
    add_node(body, "Add", {"less", "number"}, {"next"}, "shift");
    if (stacks) {
      auto& info = *body.add_output();
      info.set_name("start");
      info.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
      add_node(body, "Identity", {"carried"}, {"start"});
      m.ints("axes", {0});
      m.node("ReduceSum", {"all", "axes"}, {"sum"});
      ModelMaker::attr(*m.model.mutable_graph()->mutable_node(m.model.graph().node_size() - 1), "keepdims", int64_t{0});
      m.output("sum");
    } else {
      m.output("end");
    }
    return m;
  };
  const auto start = [](int64_t height) {
    ModelMaker m;
    m.input("x", {1, 3, -1, -1});
    m.floats("w", {3, 3, 1, 1});
    m.node("Conv", {"x", "w"}, {"y"});
    m.output("y");
    return result_of(bind(m, height).graph);
  };
  const auto check = [&](const ModelMaker& m, int64_t height, const std::function<double(double)>& wanted) {
    const Graph graph = bind(m, height).graph;
    const std::vector<double> before = start(height), after = result_of(graph);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(after[i] == doctest::Approx(wanted(before[i])));
    return graph;
  };
  const Graph three = check(looping(false, "again"), 12, [](double y) { return ((y / 2) / 2 + 1) / 2 + 2; });
  CHECK(three.value(three.outputs[0]).name == "end");
  CHECK(three.nodes[1].name == "loop/0/scale");
  CHECK(three.parameters().size() == 1);
  check(looping(false, "again"), 3, [](double y) { return y; });  // none
  check(looping(false, "early"), 40, [](double y) { return ((y / 2) / 2 + 1) / 2 + 2; });
  check(looping(true, "again"), 8, [](double y) { return y + y / 2; });
  CHECK_THROWS_WITH_AS(bind(looping(true, "again"), 3), doctest::Contains("runs no iteration"), Error);
  CHECK_THROWS_WITH_AS(bind(looping(false, "again"), 4 * 50'000, 1),
                       doctest::Contains("its iterations have more than 100000 nodes and names in all"), Error);
  // Few iterations of few nodes, but of many initializers.
  ModelMaker wide = looping(false, "again");
  for (auto& node : *wide.model.mutable_graph()->mutable_node()) {
    if (node.op_type() != "Loop") continue;
    for (int i = 0; i < 200; ++i) {
      auto& tensor = *node.mutable_attribute(0)->mutable_g()->add_initializer();
      tensor.set_name(fmt::format("unread{}", i));
      tensor.set_data_type(onnx::TensorProto::FLOAT);
      tensor.add_float_data(1);
    }
  }
  CHECK_NOTHROW(bind(wide, 4 * 10, 1));
  CHECK_THROWS_WITH_AS(bind(wide, 4 * 600, 1),
                       doctest::Contains("its iterations have more than 100000 nodes and names in all"), Error);
}

}  // namespace hourglass::test
