#include "ops/fused/fuse.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "graph/autodiff.h"
#include "graph/evaluate.h"
#include "ops/resampling/separable_map.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

struct Net {
  Graph graph;
  ValueId x, weights, bias, scale, shift, image, loss;
};

// conv -> BatchNormalization -> activation -> conv, and a loss.
Net make_net(const char* activation) {
  Net net;
  GraphBuilder b(net.graph, op_table());
  const auto parameter = [&](const char* name, Shape shape) {
    return b.parameter(name, {DType::f32, std::move(shape)}, {.kind = Init::Kind::uniform, .low = -1, .high = 1});
  };
  net.x = b.input("x", {DType::f32, Shape{1, 2, 6, 5}});
  net.weights = parameter("weights", Shape{3, 2, 3, 3});
  net.bias = parameter("bias", Shape{3});
  net.scale = parameter("scale", Shape{3});
  net.shift = parameter("shift", Shape{3});
  const ValueId conv = b.add("Conv", {net.x, net.weights, net.bias});
  const ValueId norm = b.add("BatchNormalization", {conv, net.scale, net.shift});
  const ValueId act =
      b.add(activation, {norm}, activation == std::string("LeakyRelu") ? Attrs{{"alpha", 0.2}} : Attrs{});
  net.image = b.add("Conv", {act, parameter("head", Shape{1, 3, 1, 1}), parameter("head_bias", Shape{1})});
  net.loss = b.add("ReduceSum", {b.add("Mul", {net.image, net.image})}, {{"keepdims", int64_t{0}}});
  net.graph.outputs = {net.image, net.loss};
  return net;
}

std::vector<HostTensor> loss_and_gradients(const Net& net, bool with_fused_sources = false) {
  Differentiated d = differentiate(net.graph, op_table(), net.loss, net.graph.parameters());
  if (with_fused_sources) {
    fuse_normalized_sources(d.graph, net.graph.nodes.size());
    fuse_resized_gradients(d.graph, net.graph.nodes.size(), op_table());
    fuse_pointwise_gradients(d.graph, op_table());
    fuse_normalizations(d.graph, op_table());
  }
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::map<ValueId, HostTensor> given;
  for (const ValueKind kind : {ValueKind::input, ValueKind::parameter}) {
    for (const ValueId id : net.graph.all(kind)) {
      HostTensor tensor(DType::f32, net.graph.shape(id));
      for (double& value : tensor.values) value = uniform(random);
      given[id] = tensor;
    }
  }
  std::vector<ValueId> wanted{d.loss};
  wanted.insert(wanted.end(), d.gradients.begin(), d.gradients.end());
  return evaluate(d.graph, given, wanted);
}

void check_equal(const std::vector<HostTensor>& got, const std::vector<HostTensor>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    for (std::size_t k = 0; k < got[i].values.size(); ++k) {
      CHECK(std::abs(got[i].values[k] - expected[i].values[k]) < 1e-9);
    }
  }
}

int count(const Graph& graph, std::string_view op) {
  return static_cast<int>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.op->name == op; }));
}

}  // namespace

TEST_CASE("fused or not, the loss and all gradients are the same") {
  for (const char* activation : {"LeakyRelu", "Relu"}) {
    const Net plain = make_net(activation);
    Net fused = plain;
    fuse(fused.graph, op_table());
    CHECK(count(fused.graph, activation) == 0);
    CHECK(count(fused.graph, "BatchNormalization") == 1);
    CHECK(fused.graph.nodes[0].inputs.size() == 2);  // the bias in front of the normalisation is gone
    CHECK(fused.graph.nodes[2].inputs.size() == 3);  // the other one is not
    const std::vector<HostTensor> expected = loss_and_gradients(plain), got = loss_and_gradients(fused);
    check_equal(got, expected);
  }
}

TEST_CASE("a value that someone else reads too is not fused away") {
  Net net = make_net("LeakyRelu");
  const ValueId norm = net.graph.nodes[1].outputs[0];
  net.graph.outputs.push_back(norm);
  fuse(net.graph, op_table());
  CHECK(count(net.graph, "LeakyRelu") == 1);
  CHECK(net.graph.value(norm).producer == 1);
}

// concat of two or three -> BatchNormalization -> LeakyRelu -> conv, and a loss.
Net make_joining_net(int64_t axis, int parts, bool read_twice = false) {
  Net net;
  GraphBuilder b(net.graph, op_table());
  const auto parameter = [&](const char* name, Shape shape) {
    return b.parameter(name, {DType::f32, std::move(shape)}, {.kind = Init::Kind::uniform, .low = -1, .high = 1});
  };
  net.x = b.input("x", {DType::f32, Shape{1, 2, 6, 5}});
  std::vector<ValueId> joined{net.x};
  for (int i = 1; i < parts; ++i) {
    joined.push_back(b.add("Conv", {net.x, parameter(fmt::format("w{}", i).c_str(), Shape{2, 2, 1, 1})}));
  }
  const ValueId concat = b.add("Concat", joined, {{"axis", axis}});
  const int64_t channels = net.graph.shape(concat)[1];
  const ValueId norm =
      b.add("BatchNormalization", {concat, parameter("scale", Shape{channels}), parameter("shift", Shape{channels})});
  const ValueId act = b.add("LeakyRelu", {norm}, {{"alpha", 0.3}});
  net.image = b.add("Conv", {act, parameter("head", Shape{1, channels, 1, 1})});
  net.loss = b.add("ReduceSum", {b.add("Mul", {net.image, net.image})}, {{"keepdims", int64_t{0}}});
  net.graph.outputs = {net.image, net.loss};
  if (read_twice) net.graph.outputs.push_back(concat);
  return net;
}

TEST_CASE("two images side by side are normalised where they are") {
  const Net plain = make_joining_net(1, 2);
  Net fused = plain;
  fuse(fused.graph, op_table());
  CHECK(count(fused.graph, "Concat") == 0);
  CHECK(count(fused.graph, "LeakyRelu") == 0);
  CHECK(count(fused.graph, "BatchNormalization") == 0);
  CHECK(count(fused.graph, "ConcatBatchNormalization") == 1);
  const std::vector<HostTensor> expected = loss_and_gradients(plain), got = loss_and_gradients(fused);
  check_equal(got, expected);
  Net negative = make_joining_net(-3, 2);
  fuse(negative.graph, op_table());
  CHECK(count(negative.graph, "ConcatBatchNormalization") == 1);

  // Rows below each other, three images, and a Concat that someone else reads stay what they are.
  for (Net other : {make_joining_net(2, 2), make_joining_net(1, 3), make_joining_net(1, 2, true)}) {
    fuse(other.graph, op_table());
    CHECK(count(other.graph, "Concat") == 1);
    CHECK(count(other.graph, "BatchNormalization") == 1);
  }
}

TEST_CASE("a gradient of weights normalises what it reads") {
  for (const Net& plain : {make_net("LeakyRelu"), make_net("Relu"), make_joining_net(1, 2)}) {
    Net fused = plain;
    fuse(fused.graph, op_table());
    const bool joins = count(fused.graph, "ConcatBatchNormalization") == 1;
    Differentiated d = differentiate(fused.graph, op_table(), fused.loss, fused.graph.parameters());
    fuse_normalized_sources(d.graph, fused.graph.nodes.size());
    std::vector<std::size_t> inputs;
    for (const Node& node : d.graph.nodes) {
      if (node.op->name != "ConvGradWeights") continue;
      inputs.push_back(node.inputs.size());
      if (inputs.back() == 2) continue;
      // What was normalised goes unread in the backward pass.
      const ValueId src =
          fused.graph.nodes[static_cast<std::size_t>(fused.graph.value(fused.image).producer)].inputs[0];
      CHECK(std::find(node.inputs.begin(), node.inputs.end(), src) == node.inputs.end());
    }
    CHECK(inputs == (joins ? std::vector<std::size_t>{7, 2} : std::vector<std::size_t>{6, 2}));
    const std::vector<HostTensor> expected = loss_and_gradients(plain), got = loss_and_gradients(fused, true);
    check_equal(got, expected);
  }
}

// BatchNormalization -> LeakyRelu -> two convolutions, the second of them pointwise with so many channels.
Net make_branching_net(int64_t channels, const Attrs& window = {}) {
  Net net;
  GraphBuilder b(net.graph, op_table());
  const auto parameter = [&](const char* name, Shape shape) {
    return b.parameter(name, {DType::f32, std::move(shape)}, {.kind = Init::Kind::uniform, .low = -1, .high = 1});
  };
  net.x = b.input("x", {DType::f32, Shape{2, 3, 6, 5}});
  const ValueId first = b.add("Conv", {net.x, parameter("first", Shape{3, 3, 1, 1})});
  const ValueId norm = b.add("BatchNormalization", {first, parameter("scale", Shape{3}), parameter("shift", Shape{3})});
  const ValueId act = b.add("LeakyRelu", {norm}, {{"alpha", 0.3}});
  net.image = b.add("Conv", {act, parameter("wide", Shape{2, 3, 3, 3})});
  const ValueId other = b.add("Conv", {act, parameter("pointwise", Shape{channels, 3, 1, 1})}, window);
  const auto energy = [&](ValueId id) {
    return b.add("ReduceSum", {b.add("Mul", {id, id})}, {{"keepdims", int64_t{0}}});
  };
  net.loss = b.add("Add", {energy(net.image), energy(other)});
  net.graph.outputs = {net.image, net.loss};
  return net;
}

TEST_CASE("a gradient behind a pointwise convolution of few channels is made while it is read") {
  // Strides and padding that keep the extents.
  const Attrs strided{{"strides", Dims{2, 2}}, {"pads", Dims{3, 2, 2, 2}}};
  for (const Net& plain : {make_net("LeakyRelu"), make_branching_net(1), make_branching_net(4), make_branching_net(5),
                           make_branching_net(2, strided)}) {
    Net fused = plain;
    fuse(fused.graph, op_table());
    Differentiated d = differentiate(fused.graph, op_table(), fused.loss, fused.graph.parameters());
    const int convs = count(d.graph, "ConvGradSrc"), sums = count(d.graph, "Add");
    fuse_pointwise_gradients(d.graph, op_table());
    const Node& last = *std::find_if(fused.graph.nodes.rbegin(), fused.graph.nodes.rend(),
                                     [](const Node& node) { return node.op->name == "Conv"; });
    const bool has_few =
        fused.graph.shape(fused.graph.parameters().back())[0] <= 4 && last.attrs.ints("strides") != Dims{2, 2};
    const bool branches = count(fused.graph, "Conv") == 3;
    CHECK(count(d.graph, "PointwiseBatchNormalizationGrad") == (has_few ? 1 : 0));
    CHECK(count(d.graph, "BatchNormalizationGrad") == (has_few ? 0 : 1));
    CHECK(count(d.graph, "ConvGradSrc") == convs - (has_few ? 1 : 0));
    CHECK(count(d.graph, "Add") == sums - (has_few && branches ? 1 : 0));
    const std::vector<HostTensor> expected = loss_and_gradients(plain), got = loss_and_gradients(fused, true);
    check_equal(got, expected);
  }
}

TEST_CASE("a convolution normalises what it alone reads") {
  for (const Net& plain : {make_net("LeakyRelu"), make_joining_net(1, 2)}) {
    Net fused = plain;
    fuse(fused.graph, op_table());
    const bool joins = count(fused.graph, "ConcatBatchNormalization") == 1;
    Differentiated d = differentiate(fused.graph, op_table(), fused.loss, fused.graph.parameters());
    fuse_normalizations(d.graph, op_table());
    // The gradient of the weights still reads the normalised image.
    CHECK(count(d.graph, "BatchNormalizationApply") == (joins ? 0 : 1));
    CHECK(count(d.graph, "FusedConv") == (joins ? 0 : 1));
    d = differentiate(fused.graph, op_table(), fused.loss, fused.graph.parameters());
    fuse_normalized_sources(d.graph, fused.graph.nodes.size());
    fuse_normalizations(d.graph, op_table());
    // One writes what is normalised, and one reads it. The first of two images is the graph's input, which nobody
    // writes.
    CHECK(count(d.graph, "FusedConv") == 2);
    CHECK(count(d.graph, "BatchNormalizationStatistics") == (joins ? 1 : 0));
    CHECK(count(d.graph, "BatchNormalization") + count(d.graph, "ConcatBatchNormalization") == 0);
    const std::vector<HostTensor> expected = loss_and_gradients(plain), got = loss_and_gradients(fused, true);
    check_equal(got, expected);
  }
}

TEST_CASE("who writes what is normalised takes its statistics") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 3, 6, 5}});
  const auto parameter = [&](const char* name, float value) {
    return b.constant(HostTensor(DType::f32, Shape{3}, std::vector<double>(3, static_cast<double>(value))), name);
  };
  const ValueId large = b.add("Resize", {x}, {{"mode", std::string("linear")}, {"scales", Floats{1, 1, 2, 2}}});
  const ValueId norm = b.add("BatchNormalization", {large, parameter("scale", 2), parameter("bias", 1)});
  graph.outputs = {norm, b.add("BatchNormalization", {large, parameter("scale2", 3), parameter("bias2", 0)})};
  HostTensor image(DType::f32, Shape{1, 3, 6, 5});
  std::mt19937 random(3);
  for (double& value : image.values) value = std::uniform_real_distribution<double>(-1, 1)(random);
  const std::vector<HostTensor> expected = evaluate(graph, {{x, image}}, graph.outputs);
  fuse_normalizations(graph, op_table());
  // Once: who comes second takes its own.
  CHECK(count(graph, "ResizeWithStatistics") == 1);
  CHECK(count(graph, "BatchNormalizationApply") == 1);
  CHECK(count(graph, "BatchNormalization") == 1);
  const std::vector<HostTensor> got = evaluate(graph, {{x, image}}, graph.outputs);
  check_equal(got, expected);
}

TEST_CASE("padding goes into the convolution that reads it") {
  for (const char* mode : {"reflect", "edge", "wrap", "constant"}) {
    Net net;
    GraphBuilder b(net.graph, op_table());
    net.x = b.input("x", {DType::f32, Shape{1, 2, 6, 5}});
    const auto weights = [&](const char* name, Shape shape) {
      return b.parameter(name, {DType::f32, std::move(shape)}, {.kind = Init::Kind::uniform, .low = -1, .high = 1});
    };
    const ValueId first = b.add("Conv", {net.x, weights("first", Shape{3, 2, 1, 1})});
    const ValueId pad = b.add("Pad", {first}, {{"pads", Dims{0, 0, 1, 2, 0, 0, 2, 1}}, {"mode", std::string(mode)}});
    net.image = b.add("Conv", {pad, weights("second", Shape{2, 3, 3, 2})}, {{"strides", Dims{2, 1}}});
    net.loss = b.add("ReduceSum", {b.add("Mul", {net.image, net.image})}, {{"keepdims", int64_t{0}}});
    net.graph.outputs = {net.image, net.loss};
    Net fused = net;
    fuse(fused.graph, op_table());
    // Zeros are left to Pad: its value need not be zero.
    CHECK(count(fused.graph, "Pad") == (mode == std::string("constant") ? 1 : 0));
    const std::vector<HostTensor> expected = loss_and_gradients(net), got = loss_and_gradients(fused);
    check_equal(got, expected);
  }
}

// conv -> Resize (-> concat with another conv) -> BatchNormalization (-> activation) -> conv, and a loss.
struct ResizingNet {
  Attrs resize{{"mode", std::string("linear")}, {"scales", Floats{1, 1, 2, 2}}};
  bool joins = false, has_activation = false, read_twice = false, is_second = false;
  int64_t resized_channels = 3;

  [[nodiscard]] Net make() const {
    Net net;
    GraphBuilder b(net.graph, op_table());
    const auto parameter = [&](const char* name, Shape shape) {
      return b.parameter(name, {DType::f32, std::move(shape)}, {.kind = Init::Kind::uniform, .low = -1, .high = 1});
    };
    net.x = b.input("x", {DType::f32, Shape{1, 2, 6, 5}});
    const ValueId resized =
        b.add("Resize", {b.add("Conv", {net.x, parameter("small", Shape{resized_channels, 2, 1, 1})})}, resize);
    ValueId src = resized;
    if (joins) {
      const Shape shape = net.graph.shape(resized);
      const ValueId large = b.input("large", {DType::f32, Shape{1, 2, shape[2], shape[3]}});
      const ValueId skip = b.add("Conv", {large, parameter("skip", Shape{2, 2, 1, 1})});
      src = b.add("Concat", is_second ? std::vector<ValueId>{skip, resized} : std::vector<ValueId>{resized, skip},
                  {{"axis", int64_t{1}}});
    }
    const int64_t channels = net.graph.shape(src)[1];
    ValueId norm =
        b.add("BatchNormalization", {src, parameter("scale", Shape{channels}), parameter("shift", Shape{channels})});
    if (has_activation) norm = b.add("LeakyRelu", {norm}, {{"alpha", 0.3}});
    net.image = b.add("Conv", {norm, parameter("head", Shape{5, channels, 3, 3})});
    net.loss = b.add("ReduceSum", {b.add("Mul", {net.image, net.image})}, {{"keepdims", int64_t{0}}});
    net.graph.outputs = {net.image, net.loss};
    if (read_twice) net.graph.outputs.push_back(resized);
    return net;
  }
};

TEST_CASE("an image of more channels than the kernels can resize is resized apart") {
  constexpr int64_t kMost = kernels::SeparableMap::kMostChannels;
  for (const int64_t channels : {kMost, kMost + 1}) {
    CAPTURE(channels);
    Net fused = ResizingNet{.resized_channels = channels}.make();
    fuse(fused.graph, op_table());
    fuse_normalizations(fused.graph, op_table());
    CHECK(count(fused.graph, "ResizeStatistics") == (channels == kMost ? 1 : 0));
    // Its shapes are checked again, as a plan would.
    for (const Node& node : fused.graph.nodes) {
      std::vector<const TensorType*> inputs;
      for (const ValueId id : node.inputs) inputs.push_back(id.valid() ? &fused.graph.type(id) : nullptr);
      CHECK_NOTHROW(infer_types(*node.op, node.attrs, inputs, node.name));
    }
  }
}

TEST_CASE("an image that is enlarged for a normalised convolution is never made") {
  const Attrs cubic{{"mode", std::string("cubic")}, {"sizes", Dims{1, 3, 13, 9}}};
  const Attrs smaller{{"mode", std::string("linear")}, {"scales", Floats{1, 1, 2, 0.7}}};
  const Attrs cropped{{"coordinate_transformation_mode", std::string("tf_crop_and_resize")},
                      {"roi", Floats{0, 0, 0.2, 0.1, 1, 1, 0.8, 1}},
                      {"sizes", Dims{1, 3, 12, 10}}};
  struct Case {
    ResizingNet net;
    bool is_fused;
  };
  for (const auto& [net, is_fused] :
       {Case{{}, true}, Case{{.joins = true}, true}, Case{{.resize = cubic}, true},
        Case{{.resize = cubic, .joins = true}, true}, Case{{.has_activation = true}, false},
        Case{{.read_twice = true}, false}, Case{{.joins = true, .is_second = true}, false},
        Case{{.resize = smaller}, false}, Case{{.resize = cropped}, false}}) {
    const Net plain = net.make();
    Net fused = plain;
    fuse(fused.graph, op_table());
    Differentiated d = differentiate(fused.graph, op_table(), fused.loss, fused.graph.parameters());
    fuse_normalized_sources(d.graph, fused.graph.nodes.size());
    fuse_resized_gradients(d.graph, fused.graph.nodes.size(), op_table());
    CHECK(count(d.graph, "ResizeBatchNormalizationGrad") == (is_fused ? 1 : 0));
    CHECK(count(d.graph, "ResizeGrad") == (is_fused ? 0 : 1));
    fuse_normalizations(d.graph, op_table());
    CHECK(count(d.graph, "ResizeStatistics") == (is_fused ? 1 : 0));
    CHECK(count(d.graph, "Resize") + count(d.graph, "ResizeWithStatistics") == (is_fused ? 0 : 1));
    const std::vector<HostTensor> expected = loss_and_gradients(plain), got = loss_and_gradients(fused, true);
    check_equal(got, expected);
  }
}

}  // namespace hourglass::test
