#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "engine/runtime/plan.h"
#include "graph/autodiff.h"
#include "graph/evaluate.h"
#include "graph/fuse_elementwise.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

constexpr int64_t kF32 = 1, kBf16 = 16;  // ONNX's numbers

// A graph and what is to be made of it.
struct Made {
  Graph graph;
  ValueId loss;
  std::vector<ValueId> inputs, images;
  int groups = 1;  // nodes that fuse_elementwise() makes of the training graph
};

int count(const Graph& graph, std::string_view op) {
  return static_cast<int>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.op->name == op; }));
}

ValueId sum_of_squares(GraphBuilder& b, ValueId x) { return b.add("ReduceSumSquare", {x}, {{"keepdims", int64_t{0}}}); }

HostTensor drawn(const Shape& shape, unsigned seed) {
  HostTensor tensor(DType::f32, shape);
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-2, 2);
  for (double& value : tensor.values) value = uniform(random);
  return tensor;
}

// What stands between the last convolution and its gradient, in f32 or with Casts around it.
Made make_energy(const Shape& shape, bool in_bf16) {
  Made made;
  GraphBuilder b(made.graph, op_table());
  const ValueId x = b.input("x", {DType::f32, shape});
  // A pool is no elementwise function: the group starts behind it, with what a kernel made.
  ValueId z = in_bf16 ? b.add("Cast", {x}, {{"to", kBf16}}) : x;
  z = b.add("AveragePool", {z}, {{"kernel_shape", Dims{1, 1}}});
  if (in_bf16) z = b.add("Cast", {z}, {{"to", kF32}});
  const ValueId image = b.add("Sigmoid", {z});
  const ValueId difference = b.add("Sub", {image, b.constant(drawn(shape, 5), "target")});
  made.loss = b.add("Mul", {sum_of_squares(b, difference), b.constant(HostTensor::scalar(DType::f32, 0.01))});
  made.inputs = {x};
  made.images = {image};
  return made;
}

// An activation that a file spells out; GELU's, of an input that is read once more.
Made make_spelled_out(const Shape& shape) {
  Made made;
  GraphBuilder b(made.graph, op_table());
  const ValueId x = b.input("x", {DType::f32, shape});
  const auto number = [&](double value) { return b.constant(HostTensor::scalar(DType::f32, value)); };
  const ValueId erf = b.add("Erf", {b.add("Mul", {x, number(0.70710678)})});
  const ValueId gelu = b.add("Mul", {b.add("Mul", {x, number(0.5)}), b.add("Add", {erf, number(1)})});
  const ValueId rest = b.add("Max", {b.add("LeakyRelu", {x}, {{"alpha", 0.2}}), number(-0.1)});
  const ValueId image = b.add("Sum", {gelu, rest, x});
  made.loss = sum_of_squares(b, image);
  made.inputs = {x};
  made.images = {image};
  return made;
}

// x / |x| reads a sum over what it divides: that sum must be there before.
Made make_normalized(const Shape& shape) {
  Made made;
  GraphBuilder b(made.graph, op_table());
  const ValueId x = b.input("x", {DType::f32, shape}), y = b.input("y", {DType::f32, shape});
  const ValueId product = b.add("Mul", {x, y});
  const ValueId norm = b.add("ReduceL2", {product}, {{"keepdims", int64_t{0}}});
  const ValueId image = b.add("Tanh", {b.add("Div", {product, norm})});
  made.loss = sum_of_squares(b, b.add("Sub", {image, y}));
  made.inputs = {x, y};
  made.images = {image};
  made.groups = 3;
  return made;
}

// What a kernel made and nobody else reads: its memory may be taken over, whichever operand it is.
Made make_of_last_readers(const Shape& shape, const char* op) {
  Made made;
  GraphBuilder b(made.graph, op_table());
  const ValueId x = b.input("x", {DType::f32, shape});
  const auto made_by_kernel = [&] { return b.add("AveragePool", {x}, {{"kernel_shape", Dims{1, 1}}}); };
  const ValueId h = made_by_kernel(), g = made_by_kernel();
  const ValueId y = b.add(op, {b.add("Sigmoid", {h}), h, g});
  made.images = {y, b.add("Tanh", {y})};
  made.loss = b.add("ReduceMean", {made.images[1]}, {{"keepdims", int64_t{0}}});
  made.inputs = {};
  return made;
}

// The gradient of Floor's result is made, and nothing reads it.
Made make_unread(const Shape& shape) {
  Made made;
  GraphBuilder b(made.graph, op_table());
  const ValueId x = b.input("x", {DType::f32, shape});
  const ValueId image = b.add("Sigmoid", {b.add("Mul", {x, b.add("Floor", {x})})});
  made.loss = sum_of_squares(b, image);
  made.inputs = {x};
  made.images = {image};
  return made;
}

struct Results {
  std::vector<std::vector<float>> values;
  std::size_t arena_bytes = 0;
};

Results run(const Graph& graph, const std::vector<ValueId>& wanted, const std::map<ValueId, HostTensor>& given,
            int threads) {
  Plan plan(graph, {.threads = threads, .policy = LayoutPolicy::channels_last, .output_like = {}});
  for (const auto& [id, tensor] : given) plan.write(id, {tensor.values.begin(), tensor.values.end()});
  plan.run();
  plan.run();  // it may write over nothing that it needs
  Results results{.values = {}, .arena_bytes = plan.arena_bytes()};
  for (const ValueId id : wanted) {
    results.values.emplace_back(plan.output(id), plan.output(id) + graph.shape(id).elements());
  }
  return results;
}

void check_near(const std::vector<float>& got, const HostTensor& expected, double relative) {
  REQUIRE(got.size() == expected.values.size());
  double scale = 0, worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(got[i] - expected.values[i]);
    scale = std::max(scale, std::abs(expected.values[i]));
    if (!(difference <= worst)) worst = difference;  // a NaN counts
  }
  CHECK(worst <= relative * scale);
}

void check(const Made& made, double relative) {
  Differentiated d;
  if (made.inputs.empty()) {
    d.graph = made.graph;
    d.loss = made.loss;
  } else {
    d = differentiate(made.graph, op_table(), made.loss, made.inputs);
  }
  std::vector<ValueId> wanted = d.gradients;
  wanted.push_back(d.loss);
  wanted.insert(wanted.end(), made.images.begin(), made.images.end());
  d.graph.outputs = wanted;
  std::map<ValueId, HostTensor> given;
  for (const ValueId id : made.graph.inputs)
    given[id] = drawn(made.graph.shape(id), 7U + static_cast<unsigned>(id.index));
  const std::vector<HostTensor> expected = evaluate(d.graph, given, wanted);

  Graph fused = d.graph;
  fuse_elementwise(fused, op_table());
  CHECK(count(fused, "Elementwise") == made.groups);
  CHECK(fused.nodes.size() < d.graph.nodes.size());
  const std::vector<HostTensor> same = evaluate(fused, given, wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i) CHECK(same[i].values == expected[i].values);

  const Results one = run(fused, wanted, given, 1), two = run(fused, wanted, given, 2);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(i);
    check_near(one.values[i], expected[i], relative);
    CHECK(one.values[i] == two.values[i]);
  }
}

}  // namespace

TEST_CASE("elementwise functions that read each other become one node") {
  constexpr double kOfFloat = 2e-6, kOfBf16 = 1e-2;
  // One piece, some pieces, several images; planes and pixels, and more channels than are split into planes.
  const std::vector<Shape> images{{1, 3, 20, 19},  {1, 3, 70, 61}, {2, 2, 45, 40}, {1, 4, 64, 64},
                                  {1, 1, 100, 33}, {1, 8, 50, 40}, {2, 17, 13, 9}};
  for (const Shape& shape : images) {
    CAPTURE(shape.to_string());
    check(make_energy(shape, false), kOfFloat);
    check(make_energy(shape, true), kOfBf16);
    check(make_spelled_out(shape), kOfFloat);
    check(make_normalized(shape), kOfFloat);
    check(make_unread(shape), kOfFloat);
    for (const char* op : {"Sum", "Mean", "Max", "Min"}) check(make_of_last_readers(shape, op), kOfFloat);
  }
  check(make_spelled_out({5000}), kOfFloat);
  check(make_spelled_out({3, 1000}), kOfFloat);
  check(make_normalized({4, 5, 6, 7, 8}), kOfFloat);
}

TEST_CASE("an elementwise node takes no more memory than the functions one by one") {
  const Made made = make_spelled_out({1, 8, 128, 128});
  Graph graph = made.graph;
  graph.outputs = made.images;
  Graph fused = graph;
  fuse_elementwise(fused, op_table());
  const auto bytes = [&](const Graph& of) { return Plan(of, {.threads = 1, .output_like = {}}).arena_bytes(); };
  CHECK(bytes(fused) < bytes(graph));
}

TEST_CASE("what stands far apart, small values and functions alone stay what they are") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 3, 32, 32}});
  const ValueId small = b.input("small", {DType::f32, Shape{1, 3, 4, 4}});
  const ValueId a = b.add("Sigmoid", {x});
  const ValueId pooled = b.add("AveragePool", {a}, {{"kernel_shape", Dims{1, 1}}});
  const ValueId sum = b.add("Add", {b.add("MaxPool", {pooled}, {{"kernel_shape", Dims{1, 1}}}), a});
  graph.outputs = {sum, b.add("Tanh", {b.add("Sigmoid", {small})})};
  const std::size_t nodes = graph.nodes.size();
  fuse_elementwise(graph, op_table());
  CHECK(graph.nodes.size() == nodes);
}

}  // namespace hourglass::test
