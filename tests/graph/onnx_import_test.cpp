// What an ONNX file becomes: how it is bound, what trains, which ops of which opset are understood.
#include "graph/onnx_import.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "graph/error.h"
#include "ops/table.h"
#include "tests/graph/onnx_bind.h"
#include "tests/graph/onnx_maker.h"

namespace hourglass::test {
namespace {

using Proto = onnx::TensorProto;

TEST_CASE("a small file becomes this graph") {
  const ImportedModel model = bind(small_model());
  CHECK(to_string(model.graph) ==
        "graph test\n"
        "  input x : f32:1x3x8x6\n"
        "  parameter w : f32:4x3x1x1\n"
        "  h = Conv(x, w) {auto_pad=NOTSET dilations=[] group=1 kernel_shape=[] pads=[] strides=[]} -> f32:1x4x8x6\n"
        "  y = LeakyRelu(h) {alpha=0.2} -> f32:1x4x8x6\n"
        "  output y : f32:1x4x8x6\n");
  CHECK(model.opset == 13);
  CHECK(model.notes.empty());
  CHECK(model.graph.nodes[0].name == "conv");
  CHECK(named(model.graph, "w").data->values[3] == 3.5);
}

TEST_CASE("a file is parsed once and bound to many sizes") {
  const std::string bytes = small_model().bytes();
  const OnnxFile file = OnnxFile::parse(bytes, "m.onnx");
  CHECK(file.image_input().name == "x");
  CHECK(file.image_input().channels == 3);
  CHECK(file.image_input().height == 0);
  for (const int64_t size : {1, 7, 64}) {
    const ImportedModel model = file.bind(op_table(), {.height = size, .width = size + 1});
    CHECK(model.graph.shape(model.graph.outputs[0]) == Shape{1, 4, size, size + 1});
  }
  const ImportedModel bare = file.bind(op_table(), {.height = 4, .width = 4, .keep_values = false});
  CHECK(named(bare.graph, "w").data == nullptr);
  CHECK(named(bare.graph, "w").kind == ValueKind::parameter);
}

TEST_CASE("height and width: the file's, the caller's, or an error") {
  ModelMaker m = small_model();
  m.model.mutable_graph()->mutable_input()->Clear();
  m.input("x", {-1, 3, 32, 16});
  CHECK(bind(m, 0, 0).graph.shape({0}) == Shape{1, 3, 32, 16});
  CHECK(bind(m, 32, 0).graph.shape({0}) == Shape{1, 3, 32, 16});
  CHECK_THROWS_WITH_AS(bind(m, 8, 6),
                       doctest::Contains("m.onnx: the file fixes H and W of the image 'x' to 32x16, asked for 8x6"),
                       Error);
  CHECK_THROWS_WITH_AS(bind(small_model(), 8, 0), doctest::Contains("leaves the width of the image 'x' open"), Error);
  CHECK_THROWS_WITH_AS(bind(small_model(), -8, 8), doctest::Contains("asked for a height of -8"), Error);
}

TEST_CASE("which input is the image") {
  const auto with_input = [](const std::vector<int64_t>& dims, int type = Proto::FLOAT) {
    ModelMaker m = small_model();
    m.model.mutable_graph()->mutable_input()->Clear();
    m.input("x", dims, type);
    return m;
  };
  CHECK_THROWS_WITH_AS(bind(with_input({1, 3, 8})), doctest::Contains("has shape 1x3x8, expected an image"), Error);
  CHECK_THROWS_WITH_AS(bind(with_input({2, 3, 8, 6})), doctest::Contains("is a batch of 2"), Error);
  CHECK_THROWS_WITH_AS(bind(with_input({1, -1, 8, 6})), doctest::Contains("leaves its number of channels open"), Error);
  CHECK_THROWS_WITH_AS(bind(with_input({1, 3, 8, 6}, Proto::UINT8)), doctest::Contains("is u8, expected float"), Error);

  ModelMaker none = small_model();
  none.model.mutable_graph()->mutable_input()->Clear();
  none.floats("x", {1, 3, 2, 2});
  CHECK_THROWS_WITH_AS(bind(none), doctest::Contains("has no image input"), Error);

  ModelMaker two = small_model();
  two.input("z", {1, 1, 1, 1});
  CHECK_THROWS_WITH_AS(bind(two), doctest::Contains("has 2 inputs ('x', 'z'), expected one image"), Error);

  // Older files list their initializers as inputs too.
  ModelMaker old = small_model();
  old.input("w", {4, 3, 1, 1});
  CHECK(bind(old).graph.inputs.size() == 1);
}

TEST_CASE("images with their channels last") {
  const auto with_shapes = [](const std::vector<int64_t>& input, const std::vector<int64_t>& output) {
    ModelMaker m;
    m.input("x", input);
    m.node("Relu", {"x"}, {"y"});
    m.output("y");
    auto* shape = m.model.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int i = 0; i < 4; ++i) {
      if (output[static_cast<std::size_t>(i)] > 0) {
        shape->mutable_dim(i)->set_dim_value(output[static_cast<std::size_t>(i)]);
      }
    }
    return m;
  };
  CHECK_THROWS_WITH_AS(bind(with_shapes({-1, -1, -1, 3}, {-1, -1, -1, 3})),
                       "m.onnx: input 'x' has shape ?x?x?x3: its channels are last (NHWC, as TensorFlow has images), "
                       "expected [1, channels, height, width]; export it with channels first (tf2onnx: "
                       "--inputs-as-nchw x and --outputs-as-nchw)",
                       Error);
  CHECK_THROWS_WITH_AS(bind(with_shapes({1, 128, 128, 3}, {1, 128, 128, 3}), 0, 0),
                       doctest::Contains("has shape 1x128x128x3: its channels are last"), Error);
  // Seeds of generators, and a narrow image.
  CHECK(bind(with_shapes({1, 100, 1, 1}, {1, 3, 64, 64}), 0, 0).graph.shape({0}) == Shape{1, 100, 1, 1});
  CHECK(bind(with_shapes({1, 32, 64, 3}, {1, 3, 64, 3}), 0, 0).graph.shape({0}) == Shape{1, 32, 64, 3});
}

TEST_CASE("a file whose newest ops are those of opset 22 may declare a newer opset") {
  for (const int opset : {23, 24}) {
    CAPTURE(opset);
    // What exporters write: ops whose definition of opset 23 or 24 only knows more types.
    ModelMaker m(opset);
    m.input("x", {1, 3, -1, -1});
    m.floats("w", {12, 3, 3, 3});
    m.floats("slope", {12, 1, 1});
    m.ints("two", {2});
    m.ints("three", {3});
    m.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1});
    m.node("Identity", {"w"}, {"weights"});
    auto& pad = m.node("Pad", {"x", "pads"}, {"padded"});
    ModelMaker::attr(pad, "mode", std::string("reflect"));
    m.node("Conv", {"padded", "weights"}, {"c"});
    m.node("PRelu", {"c", "slope"}, {"p"});
    ModelMaker::attr(m.node("DepthToSpace", {"p"}, {"d"}), "blocksize", int64_t{2});
    m.node("Shape", {"d"}, {"shape"});
    m.node("Reshape", {"d", "shape"}, {"r"});
    m.node("Unsqueeze", {"r", "two"}, {"u"});
    m.node("Squeeze", {"u", "two"}, {"s"});
    ModelMaker::attr(m.node("Transpose", {"s"}, {"t"}), "perm", std::vector<int64_t>{0, 1, 3, 2});
    ModelMaker::attr(m.node("Cast", {"t"}, {"y"}), "to", int64_t{Proto::FLOAT});
    m.output("y");
    const ImportedModel newer = bind(m, 8, 6);
    CHECK(newer.opset == opset);
    CHECK(newer.graph.shape(newer.graph.outputs[0]) == Shape{1, 3, 12, 16});
    m.model.mutable_opset_import(0)->set_version(22);
    CHECK(to_string(newer.graph) == to_string(bind(m, 8, 6).graph));
  }
}

TEST_CASE("what no output needs is left out, whatever it is") {
  ModelMaker m = small_model();
  m.node("NonMaxSuppression", {"y", "y"}, {"boxes"}, "boxes");
  m.node("Foo", {"boxes"}, {"foo"}, "further");
  m.node("Conv", {"y", "w"}, {"bad"}, "mismatch");
  const ImportedModel model = bind(m);
  CHECK(model.graph.nodes.size() == 2);
  CHECK(model.notes == std::vector<std::string>{"no output needs 'boxes' (NonMaxSuppression), 'further' (Foo), "
                                                "'mismatch' (Conv): left out"});
  const Examination report = OnnxFile::parse(m.bytes(), "m.onnx").examine(op_table(), {.height = 8, .width = 6});
  CHECK(report.nodes.size() == 2);
}

TEST_CASE("one of several outputs") {
  ModelMaker m = small_model();
  m.output("h");
  m.node("NonMaxSuppression", {"y", "y"}, {"boxes"}, "boxes");
  m.output("boxes");
  const OnnxFile file = OnnxFile::parse(m.bytes(), "m.onnx");
  CHECK(file.output_names() == std::vector<std::string>{"y", "h", "boxes"});
  const auto nodes = [&](const std::string& output) {
    return file.bind(op_table(), {.height = 8, .width = 6, .output = output}).graph.nodes.size();
  };
  CHECK(nodes("y") == 2);
  CHECK(nodes("h") == 1);
  CHECK_THROWS_WITH_AS(nodes(""), doctest::Contains("NonMaxSuppression"), Error);
  CHECK_THROWS_WITH_AS(nodes("z"), "m.onnx: has no output 'z', those that it has are 'y', 'h', 'boxes'", Error);
  const Examination report = file.examine(op_table(), {.height = 8, .width = 6, .output = "h"});
  CHECK(report.nodes.size() == 1);
  REQUIRE(report.outputs.size() == 1);
  CHECK(report.outputs[0].shape == Shape{1, 4, 8, 6});
}

TEST_CASE("what trains") {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.floats("w", {1, 3, 1, 1});
  m.floats("b", {1});  // one element, but a bias
  m.floats("unused", {5});
  auto& uniform = m.node("RandomUniform", {}, {"w2"});
  ModelMaker::attr(uniform, "low", -0.25f);
  ModelMaker::attr(uniform, "high", 0.1f);
  ModelMaker::attr(uniform, "shape", std::vector<int64_t>{2, 1, 1, 1});
  auto& normal = m.node("RandomNormal", {}, {"b2"});
  ModelMaker::attr(normal, "scale", 0.02f);
  ModelMaker::attr(normal, "shape", std::vector<int64_t>{2});
  m.node("Conv", {"x", "w", "b"}, {"h"});
  m.node("Conv", {"h", "w2", "b2"}, {"y"});
  m.output("y");
  const Graph graph = bind(m).graph;
  CHECK(graph.parameters().size() == 4);
  CHECK_FALSE(graph.find("unused").valid());
  CHECK(named(graph, "b").kind == ValueKind::parameter);
  CHECK(named(graph, "b").init.kind == Init::Kind::values);
  const Init& w2 = named(graph, "w2").init;
  CHECK(w2.kind == Init::Kind::uniform);
  CHECK(w2.low == -0.25);
  CHECK(w2.high == 0.1);  // as its author wrote it
  CHECK(named(graph, "w2").data == nullptr);
  const Init& b2 = named(graph, "b2").init;
  CHECK(b2.kind == Init::Kind::normal);
  CHECK(b2.mean == 0);
  CHECK(b2.stddev == 0.02);
}

TEST_CASE("equal initializers that an exporter has merged train apart") {
  ModelMaker m;
  m.input("x", {1, 2, -1, -1});
  m.floats("w", {2, 2, 1, 1});
  m.node("Identity", {"w"}, {"w2"});
  m.node("Conv", {"x", "w"}, {"h"});
  m.node("Conv", {"h", "w2"}, {"y"});
  m.output("y");
  const ImportedModel model = bind(m);
  CHECK(model.graph.parameters().size() == 2);
  CHECK(model.graph.nodes.size() == 2);
  CHECK(named(model.graph, "w2").data->values == named(model.graph, "w").data->values);
  REQUIRE(model.notes.size() == 1);
  CHECK(model.notes[0] == "initial values shared through Identity: 1 parameter is trained on its own");
}

TEST_CASE("ops and forms that came with opsets 18 to 20") {
  ModelMaker m = small_model();
  m.model.mutable_opset_import(0)->set_version(20);
  m.floats("scale", {4});
  m.floats("bias", {4});
  ModelMaker::attr(m.node("Gelu", {"y"}, {"gelu"}), "approximate", std::string("tanh"));
  m.node("Mish", {"gelu"}, {"mish"});
  m.node("HardSwish", {"mish"}, {"swish"});
  ModelMaker::attr(m.node("GroupNormalization", {"swish", "scale", "bias"}, {"norm"}), "num_groups", int64_t{2});
  m.ints("sides", {2, 3});
  m.node("ReduceMean", {"norm", "sides"}, {"mean"});
  m.node("Sub", {"norm", "mean"}, {"centred"});
  auto& split = m.node("Split", {"centred"}, {"a", "b"});
  ModelMaker::attr(split, "axis", int64_t{1});
  ModelMaker::attr(split, "num_outputs", int64_t{2});
  m.node("Max", {"a", "b"}, {"larger"});
  m.ints("pads", {1, 2, 1, 2});
  ModelMaker::attr(m.node("Pad", {"larger", "pads", "", "sides"}, {"padded"}), "mode", std::string("wrap"));
  m.floats("half", {2}).set_float_data(1, 0.5F);
  auto& resize = m.node("Resize", {"padded", "", "half"}, {"z"});
  ModelMaker::attr(resize, "axes", std::vector<int64_t>{2, 3});
  ModelMaker::attr(resize, "mode", std::string("linear"));
  ModelMaker::attr(resize, "antialias", int64_t{1});
  m.output("z");
  const ImportedModel model = bind(m);
  CHECK(model.graph.shape(model.graph.outputs.back()) == Shape{1, 2, 5, 5});
  CHECK(model.opset == 20);
}

TEST_CASE("ops that came with opsets 23 and 24") {
  ModelMaker m = small_model();
  m.model.mutable_opset_import(0)->set_version(24);
  ModelMaker::attr(m.node("Swish", {"y"}, {"swish"}), "alpha", 1.5F);
  m.floats("scale", {6});
  m.node("RMSNormalization", {"swish", "scale"}, {"norm"});
  auto& attention = m.node("Attention", {"norm", "norm", "norm"}, {"attended"});
  ModelMaker::attr(attention, "is_causal", int64_t{1});
  m.output("attended");
  const ImportedModel model = bind(m);
  CHECK(model.graph.shape(model.graph.outputs.back()) == Shape{1, 4, 8, 6});
  CHECK(model.opset == 24);
}

TEST_CASE("read_tensors gives every initializer as it is") {
  ModelMaker m;
  auto& w = m.empty("w", {2}, Proto::DOUBLE);
  w.add_double_data(0.1);
  w.add_double_data(-3);
  m.ints("i", {9, INT64_MAX});
  const auto path = std::filesystem::temp_directory_path() / "hourglass_read_tensors.onnx";
  std::ofstream(path, std::ios::binary) << m.bytes();
  const auto tensors = read_tensors(path);
  std::filesystem::remove(path);
  REQUIRE(tensors.size() == 2);
  CHECK(tensors.at("w").dtype == DType::f64);
  CHECK(tensors.at("w").values[0] == 0.1);
  CHECK(tensors.at("i").to_ints() == Dims{9, INT64_MAX});
}

TEST_CASE("an unnamed node gets a name, a twin another") {
  ModelMaker m = small_model();
  m.model.mutable_graph()->mutable_node(0)->clear_name();
  CHECK(bind(m).graph.nodes[0].name == "Conv_0");
  m.model.mutable_graph()->mutable_node(0)->set_name("act");
  CHECK(bind(m).graph.nodes[1].name == "act_1");
}

}  // namespace
}  // namespace hourglass::test
