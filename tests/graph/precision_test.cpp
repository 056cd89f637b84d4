#include "graph/precision.h"

#include <doctest/doctest.h>

#include <cmath>

#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/table.h"
#include "tests/ops/case.h"

namespace hourglass::test {
namespace {

constexpr Init kUniform{.kind = Init::Kind::uniform, .low = -0.3, .high = 0.3};

// Two convolutions with everything between and behind them that needs care, and an energy.
struct Net {
  Graph graph;
  GraphBuilder b{graph, op_table()};
  ValueId z, w1, bias1, w2, slope, hidden, image, target, loss;

  Net() {
    z = b.input("z", {DType::f32, Shape{1, 3, 6, 6}});
    w1 = b.parameter("w1", {DType::f32, Shape{4, 3, 3, 3}}, kUniform);
    bias1 = b.parameter("bias1", {DType::f32, Shape{4}}, kUniform);
    slope = b.parameter("slope", {DType::f32, Shape{4, 1, 1}}, kUniform);
    w2 = b.parameter("w2", {DType::f32, Shape{2, 8, 1, 1}}, kUniform);
    target = b.constant(HostTensor(DType::f32, Shape{1, 2, 6, 6}), "target");
    const ValueId x = b.add("Conv", {z, w1, bias1}, {{"pads", Dims{1, 1, 1, 1}}}, "conv1");
    hidden = b.add("PRelu", {x, slope}, {}, "act");
    const ValueId scaled =
        b.add("Mul", {hidden, b.constant(HostTensor::scalar(DType::f32, 0.3), "third")}, {}, "scale");
    image = b.add("Conv", {b.add("Concat", {scaled, x}, {{"axis", int64_t{1}}}, "cat"), w2}, {}, "conv2");
  }
  void finish() {
    const ValueId e = b.add("Sub", {image, target}, {}, "difference");
    loss = b.add("ReduceMean", {b.add("Mul", {e, e}, {}, "square")},
                 {{"axes", Dims{0, 1, 2, 3}}, {"keepdims", int64_t{0}}}, "loss");
    graph.outputs = {image, loss};
  }
};

const Node& node(const Graph& graph, std::string_view name) {
  for (const Node& n : graph.nodes) {
    if (n.name == name) return n;
  }
  throw Error(fmt::format("no node '{}'", name));
}
DType type_of(const Graph& graph, std::string_view name) { return graph.type(node(graph, name).outputs[0]).dtype; }
int casts(const Graph& graph) {
  int count = 0;
  for (const Node& n : graph.nodes) count += n.op->name == "Cast" ? 1 : 0;
  return count;
}
// Nodes stand behind what they read, and values know them.
void check_order(const Graph& graph) {
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const ValueId id : graph.nodes[n].inputs) {
      if (id.valid()) CHECK(graph.value(id).producer < static_cast<int32_t>(n));
    }
    for (const ValueId id : graph.nodes[n].outputs) CHECK(graph.value(id).producer == static_cast<int32_t>(n));
  }
}

TEST_CASE("long sums and their differences stay in f32") {
  Net net;
  const ValueId sums = net.b.add("CumSum", {net.hidden}, {{"axis", int64_t{3}}}, "sums");
  const auto cut = [&](int64_t start, const char* name) {
    return net.b.add("Slice", {sums}, {{"starts", Dims{start}}, {"ends", Dims{start + 3}}, {"axes", Dims{3}}}, name);
  };
  const ValueId difference = net.b.add("Sub", {cut(3, "right"), cut(0, "left")}, {}, "between");
  const ValueId mean = net.b.add("Div", {difference, net.b.constant(HostTensor::scalar(DType::f32, 3))}, {}, "mean");
  const ValueId w3 = net.b.parameter("w3", {DType::f32, Shape{2, 4, 1, 1}}, kUniform);
  net.image = net.b.add("Conv", {mean, w3}, {}, "conv3");
  net.graph.outputs = {net.image};
  lower_to_bf16(net.graph, op_table(), net.z, net.image);
  check_order(net.graph);
  for (const char* name : {"sums", "right", "left", "between"}) {
    CAPTURE(name);
    CHECK(type_of(net.graph, name) == DType::f32);
  }
  for (const char* name : {"act", "mean", "conv3"}) {
    CAPTURE(name);
    CHECK(type_of(net.graph, name) == DType::bf16);
  }
}

TEST_CASE("what leads into whole numbers and truth values, and out of them, stays in f32") {
  constexpr int64_t kI64 = 7, kF32 = 1;  // onnx::TensorProto's INT64, FLOAT
  Net net;
  GraphBuilder& b = net.b;
  const auto number = [&](double value) { return b.constant(HostTensor::scalar(DType::f32, value)); };
  const ValueId scaled = b.add("Mul", {net.hidden, number(255)}, {}, "scaled");
  const ValueId levels = b.add("Cast", {scaled}, {{"to", kI64}}, "levels");
  const ValueId shifted =
      b.add("Reshape", {b.add("Cast", {levels}, {{"to", kF32}}, "back")}, {{"shape", Dims{1, 4, 6, 6}}}, "moved");
  const ValueId halved = b.add("Mul", {shifted, number(0.5)}, {}, "halved");
  const ValueId smooth = b.add("Sigmoid", {halved}, {}, "smooth");
  const ValueId first =
      b.add("Conv", {smooth, b.parameter("w3", {DType::f32, Shape{4, 4, 1, 1}}, kUniform)}, {}, "first");
  const ValueId sloped = b.add("Mul", {first, number(3)}, {}, "sloped");
  const ValueId bright = b.add("Greater", {sloped, b.add("Relu", {first}, {}, "limit")}, {}, "bright");
  const ValueId chosen = b.add("Where", {bright, first, smooth}, {}, "chosen");
  const ValueId w4 = b.parameter("w4", {DType::f32, Shape{2, 4, 1, 1}}, kUniform);
  net.image = b.add("Conv", {chosen, w4}, {}, "last");
  net.graph.outputs = {net.image};
  lower_to_bf16(net.graph, op_table(), net.z, net.image);
  check_order(net.graph);
  for (const char* name : {"act", "scaled", "back", "moved", "halved", "sloped", "limit"}) {
    CAPTURE(name);
    CHECK(type_of(net.graph, name) == DType::f32);
  }
  for (const char* name : {"conv1", "smooth", "first", "chosen", "last"}) {
    CAPTURE(name);
    CHECK(type_of(net.graph, name) == DType::bf16);
  }
}

TEST_CASE("activations are lowered, parameters, biases and the energy are not") {
  Net net;
  net.image = net.b.add("Sigmoid", {net.image}, {}, "sigmoid");
  net.finish();
  Graph& g = net.graph;
  CHECK(lower_to_bf16(g, op_table(), net.z, net.image) == net.image);
  check_order(g);
  for (const char* name : {"conv1", "act", "scale", "cat", "conv2"}) {
    CAPTURE(name);
    CHECK(type_of(g, name) == DType::bf16);
  }
  // The last convolution's result goes back to f32 before the Sigmoid.
  for (const char* name : {"sigmoid", "difference", "square", "loss"}) {
    CAPTURE(name);
    CHECK(type_of(g, name) == DType::f32);
  }
  for (const ValueId id : g.parameters()) CHECK(g.type(id).dtype == DType::f32);
  CHECK(g.type(net.z).dtype == DType::f32);
  CHECK(node(g, "conv1").inputs[2] == net.bias1);
  CHECK(g.value(node(g, "scale").inputs[1]).kind == ValueKind::constant);
  CHECK(g.type(node(g, "scale").inputs[1]).dtype == DType::bf16);
  CHECK(casts(g) == 5);  // z, w1, slope, w2, and back to f32
  CHECK(g.outputs == std::vector<ValueId>{net.image, net.loss});
}

TEST_CASE("an input that only the network reads may come in bf16") {
  Net net;
  net.finish();
  lower_to_bf16(net.graph, op_table(), net.z, net.image);
  const int before = casts(net.graph);
  CHECK(lower_input_to_bf16(net.graph, net.z));
  check_order(net.graph);
  CHECK(casts(net.graph) == before - 1);
  CHECK(net.graph.type(net.z).dtype == DType::bf16);
  CHECK(node(net.graph, "conv1").inputs[0] == net.z);
  // Once more: there is no Cast any more, so nothing happens.
  CHECK_FALSE(lower_input_to_bf16(net.graph, net.z));

  Net other;
  other.finish();
  other.graph.outputs.push_back(other.z);
  lower_to_bf16(other.graph, op_table(), other.z, other.image);
  CHECK_FALSE(lower_input_to_bf16(other.graph, other.z));
  CHECK(other.graph.type(other.z).dtype == DType::f32);
}

TEST_CASE("an image that a convolution makes is cast for the energy and as an output") {
  Net net;
  net.finish();
  const ValueId image = lower_to_bf16(net.graph, op_table(), net.z, net.image);
  CHECK(image != net.image);
  CHECK(net.graph.type(net.image).dtype == DType::bf16);
  CHECK(net.graph.type(image) == TensorType{DType::f32, Shape{1, 2, 6, 6}});
  CHECK(net.graph.outputs[0] == image);
  CHECK(node(net.graph, "difference").inputs[0] == image);
}

TEST_CASE("a correction is added to what it corrects in f32") {
  Net net;
  const ValueId base = net.b.add("Slice", {net.z}, {{"starts", Dims{1}}, {"ends", Dims{3}}, {"axes", Dims{1}}}, "base");
  net.image = net.b.add("Add", {base, net.image}, {}, "correct");
  net.finish();
  const ValueId image = lower_to_bf16(net.graph, op_table(), net.z, net.image);
  check_order(net.graph);
  CHECK(image == net.image);
  CHECK(type_of(net.graph, "base") == DType::f32);
  CHECK(type_of(net.graph, "correct") == DType::f32);
  CHECK(type_of(net.graph, "conv1") == DType::bf16);
  CHECK(type_of(net.graph, "conv2") == DType::bf16);
  // z is read in both types now.
  CHECK_FALSE(lower_input_to_bf16(net.graph, net.z));
}

TEST_CASE("the energy may look inside the network, and weights may be computed") {
  Net net;
  const ValueId squared = net.b.add("Mul", {net.w2, net.w2}, {}, "squared");
  net.image = net.b.add(
      "Conv",
      {net.hidden, net.b.add("Slice", {squared}, {{"starts", Dims{0}}, {"ends", Dims{4}}, {"axes", Dims{1}}}, "cut")},
      {}, "conv3");
  const ValueId penalty = net.b.add("ReduceMean", {net.hidden}, {}, "penalty");
  net.finish();
  net.graph.outputs.push_back(penalty);
  lower_to_bf16(net.graph, op_table(), net.z, net.image);
  CHECK(type_of(net.graph, "squared") == DType::f32);
  CHECK(type_of(net.graph, "cut") == DType::f32);
  CHECK(type_of(net.graph, "act") == DType::bf16);
  CHECK(type_of(net.graph, "penalty") == DType::f32);
  CHECK(net.graph.type(node(net.graph, "penalty").inputs[0]).dtype == DType::f32);
  CHECK(type_of(net.graph, "scale") == DType::f32);  // the image does not depend on it any more
}

TEST_CASE("an op that knows only f32 is an island") {
  // The table's LeakyRelu without its bf16.
  std::vector<OpDef> ops;
  for (const OpDef* op : op_table().all()) {
    ops.push_back(*op);
    if (op->name == "LeakyRelu") ops.back().bf16_inputs = 0;
  }
  const OpTable table({ops});
  Graph g;
  GraphBuilder b(g, table);
  const ValueId z = b.input("z", {DType::f32, Shape{1, 3, 6, 6}});
  const ValueId w = b.parameter("w", {DType::f32, Shape{3, 3, 1, 1}}, kUniform);
  const ValueId x = b.add("LeakyRelu", {b.add("Conv", {z, w}, {}, "conv1")}, {}, "island");
  const ValueId image = b.add("Conv", {x, w}, {}, "conv2");
  g.outputs = {image};
  lower_to_bf16(g, table, z, image);
  check_order(g);
  CHECK(type_of(g, "conv1") == DType::bf16);
  CHECK(type_of(g, "island") == DType::f32);
  CHECK(type_of(g, "conv2") == DType::bf16);
  CHECK(node(g, "conv1").inputs[1] == node(g, "conv2").inputs[1]);  // cast once
  CHECK(casts(g) == 5);                                             // z, w, to and from the island, the image
}

TEST_CASE("gradients of parameters are f32, those of weights without a detour through bf16") {
  Net net;
  // w2 is read by an elementwise op as well: its gradient is a sum of an f32 and a bf16 term.
  net.image = net.b.add(
      "Add",
      {net.image,
       net.b.add("Mul", {net.image, net.b.add("Slice", {net.w2},
                                              {{"starts", Dims{0, 0}}, {"ends", Dims{1, 1}}, {"axes", Dims{0, 1}}})})});
  net.finish();
  Graph lowered = net.graph;
  lower_to_bf16(lowered, op_table(), net.z, net.image);
  const std::vector<ValueId> parameters = lowered.parameters();
  const Differentiated d = differentiate(lowered, op_table(), net.loss, parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    CHECK(d.graph.type(d.gradients[i]) == TensorType{DType::f32, lowered.shape(parameters[i])});
  }
  const auto producer = [&](ValueId id) -> const Node& {
    return d.graph.nodes[static_cast<std::size_t>(d.graph.value(id).producer)];
  };
  const ValueId grad_w1 = d.gradients[0];
  CHECK(producer(grad_w1).op->name == "ConvGradWeights");

  // In double nothing is rounded: both graphs compute the same.
  const Differentiated plain = differentiate(net.graph, op_table(), net.loss, parameters);
  std::map<ValueId, HostTensor> given;
  uint64_t seed = 1;
  for (const ValueId id : {net.z, net.w1, net.bias1, net.slope, net.w2}) {
    given[id] = draw_inputs({.inputs = {{.type = lowered.type(id)}}, .attrs = {}}, seed++)[0];
  }
  const auto got = evaluate(d.graph, given, d.gradients), expected = evaluate(plain.graph, given, plain.gradients);
  for (std::size_t i = 0; i < got.size(); ++i) {
    for (std::size_t k = 0; k < got[i].values.size(); ++k) {
      CHECK(got[i].values[k] == doctest::Approx(expected[i].values[k]).epsilon(1e-12));
    }
  }
}

TEST_CASE("weights in two roles have a gradient: the terms meet in f32") {
  Graph g;
  GraphBuilder b(g, op_table());
  const ValueId z = b.input("z", {DType::f32, Shape{1, 2, 2, 2}});
  const ValueId w = b.parameter("w", {DType::f32, Shape{2, 2, 1, 1}}, kUniform);
  const ValueId y = b.add("Conv", {z, w}, {}, "conv1");
  const ValueId image = b.add("Conv", {b.add("Add", {y, b.add("Reshape", {w}, {{"shape", Dims{1, 1, 2, 2}}})}), w}, {});
  const ValueId shared = b.add("Mul", {image, w}, {}, "reads w in bf16");
  const ValueId last = b.add("Conv", {shared, w}, {}, "conv3");
  const ValueId loss = b.add("ReduceMean", {last}, {{"keepdims", int64_t{0}}});
  lower_to_bf16(g, op_table(), z, last);
  const Differentiated d = differentiate(g, op_table(), loss, {w});
  CHECK(d.graph.type(d.gradients[0]) == TensorType{DType::f32, Shape{2, 2, 1, 1}});
}

// What an op's gradient is made of in bf16: types fit, and every node has a kernel for its types.
TEST_CASE("every op that takes bf16 has a gradient that does") {
  for (const OpDef* op : op_table().all()) {
    if (op->bf16_inputs == 0 || op->vjp == nullptr) continue;
    for (const std::string& text : cases_of(*op)) {
      CAPTURE(op->name);
      CAPTURE(text);
      try {
        const Case c = in_bf16(*op, parse_case(*op, text));
        Graph g;
        GraphBuilder b(g, op_table());
        std::vector<ValueId> inputs;
        std::vector<bool> wanted;
        for (const CaseInput& input : c.inputs) {
          inputs.push_back(input.given ? b.input("x", input.type) : kNoValue);
          wanted.push_back(input.given && is_floating(input.type.dtype));
        }
        b.add_all(op->name, inputs, c.attrs);
        const Node forward = g.nodes.back();
        std::vector<ValueId> grads(forward.outputs.size(), kNoValue);
        grads[0] = b.input("cotangent", g.type(forward.outputs[0]));
        VjpContext ctx(b, forward, grads, wanted);
        op->vjp(ctx);
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          if (ctx.grads()[i].valid()) CHECK(g.type(ctx.grads()[i]) == g.type(inputs[i]));
        }
        for (const Node& n : g.nodes) {
          for (std::size_t i = 0; i < n.inputs.size(); ++i) {
            if (!n.inputs[i].valid() || g.type(n.inputs[i]).dtype != DType::bf16 || n.op->name == "Cast") continue;
            CHECK_MESSAGE((n.op->bf16_inputs >> i & 1) == 1, n.op->name << " takes input " << i << " in f32 only");
          }
        }
      } catch (const std::exception& error) {
        FAIL_CHECK(std::string(error.what()));
      }
    }
  }
}

}  // namespace
}  // namespace hourglass::test
