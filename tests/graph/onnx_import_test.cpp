// What an ONNX file becomes: binding, folding, parameters.
#include "graph/onnx_import.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/table.h"
#include "tests/graph/onnx_maker.h"

namespace hourglass::test {
namespace {

using Proto = onnx::TensorProto;

ImportedModel bind(const ModelMaker& m, int64_t height = 8, int64_t width = 6) {
  return import_onnx(m.bytes(), "m.onnx", op_table(), {.height = height, .width = width});
}

const Value& named(const Graph& graph, std::string_view name) {
  const ValueId id = graph.find(name);
  REQUIRE_MESSAGE(id.valid(), name);
  return graph.value(id);
}

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

TEST_CASE("half precision inside, single at both ends") {
  for (const int half : {Proto::FLOAT16, Proto::BFLOAT16}) {
    CAPTURE(half);
    ModelMaker m;
    m.input("x", {1, 3, -1, -1});
    ModelMaker::attr(m.node("Cast", {"x"}, {"h"}), "to", int64_t{half});
    auto& weights = m.empty("w", {2, 3, 1, 1}, half);
    for (int i = 0; i < 6; ++i) weights.add_int32_data(half == Proto::FLOAT16 ? 0x3800 : 0x3f00);  // 0.5
    m.node("Conv", {"h", "w"}, {"c"});
    m.ints("shape", {1});
    auto* value = m.node("ConstantOfShape", {"shape"}, {"one"}).add_attribute();
    value->set_name("value");
    value->set_type(onnx::AttributeProto::TENSOR);
    value->mutable_t()->set_data_type(half);
    value->mutable_t()->add_dims(1);
    value->mutable_t()->add_int32_data(half == Proto::FLOAT16 ? 0x3800 : 0x3f00);
    m.node("Add", {"c", "one"}, {"s"});
    ModelMaker::attr(m.node("Cast", {"s"}, {"y"}), "to", int64_t{Proto::FLOAT});
    m.output("y");
    const Graph graph = bind(m).graph;
    for (const Value& value : graph.values) CHECK(value.type.dtype == DType::f32);
    CHECK(graph.parameters().size() == 1);
    HostTensor image(DType::f32, graph.shape(graph.inputs[0]));
    std::fill(image.values.begin(), image.values.end(), 1.0);
    CHECK(evaluate(graph, {{graph.inputs[0], image}}, {graph.outputs[0]})[0].values[0] == 2);
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

TEST_CASE("a random mask that drops a branch is replaced by its mean") {
  // y = x + Conv(x) / 0.75 * mask, the mask 1 with probability 0.75.
  const auto number = [](ModelMaker& m, const char* name, float value) {
    m.empty(name, {1}, Proto::FLOAT).add_float_data(value);
  };
  const auto with_mask = [&](int opset, const std::function<void(ModelMaker&)>& add_mask) {
    ModelMaker m(opset);
    m.input("x", {1, 3, -1, -1});
    m.floats("w", {3, 3, 1, 1});
    number(m, "keep", 0.75F);
    number(m, "drop", 0.25F);
    m.node("Conv", {"x", "w"}, {"branch"});
    m.node("Div", {"branch", "keep"}, {"larger"});
    add_mask(m);
    m.node("Mul", {"larger", "mask"}, {"masked"});
    m.node("Add", {"x", "masked"}, {"y"});
    m.output("y");
    return m;
  };
  const auto draw = [](ModelMaker& m) {
    ModelMaker::attr(m.node("RandomUniform", {}, {"drawn"}), "shape", std::vector<int64_t>{1, 1, 1, 1});
  };
  const auto chances = [](ModelMaker& m) {
    auto& tensor = m.empty("chances", {1, 3, 1, 1}, Proto::FLOAT);
    for (int i = 0; i < 3; ++i) tensor.add_float_data(0.75F);
  };
  const std::vector<std::function<void(ModelMaker&)>> masks = {
      [&](ModelMaker& m) {  // timm's
        draw(m);
        m.node("Add", {"keep", "drawn"}, {"sum"});
        m.node("Floor", {"sum"}, {"mask"});
      },
      [&](ModelMaker& m) {  // of each element of its own
        m.node("RandomUniformLike", {"branch"}, {"drawn"});
        m.node("Less", {"drawn", "keep"}, {"kept"});
        ModelMaker::attr(m.node("Cast", {"kept"}, {"mask"}), "to", int64_t{Proto::FLOAT});
      },
      [&](ModelMaker& m) {
        draw(m);
        m.node("Sub", {"keep", "drawn"}, {"difference"});  // in (-0.25, 0.75]
        number(m, "zero", 0);
        m.node("Less", {"zero", "difference"}, {"kept"});
        ModelMaker::attr(m.node("Cast", {"kept"}, {"mask"}), "to", int64_t{Proto::FLOAT});
      },
      [&](ModelMaker& m) {
        draw(m);
        m.node("GreaterOrEqual", {"drawn", "drop"}, {"kept"});
        ModelMaker::attr(m.node("Cast", {"kept"}, {"mask"}), "to", int64_t{Proto::FLOAT});
      },
      [&](ModelMaker& m) { m.node("Bernoulli", {"keep"}, {"mask"}); },
      [&](ModelMaker& m) {
        chances(m);
        m.node("Bernoulli", {"chances"}, {"mask"});
      },
      [&](ModelMaker& m) {  // torch.bernoulli's, of a tensor
        chances(m);
        draw(m);
        m.node("Less", {"drawn", "chances"}, {"kept"});
        ModelMaker::attr(m.node("Cast", {"kept"}, {"mask"}), "to", int64_t{Proto::FLOAT});
      },
      [&](ModelMaker& m) {
        draw(m);
        m.node("Add", {"drop", "drawn"}, {"sum"});  // from 0.25 to 1.25
        m.node("Round", {"sum"}, {"mask"});
      },
      [&](ModelMaker& m) {
        draw(m);
        m.node("Sub", {"keep", "drawn"}, {"difference"});  // from -0.25 to 0.75
        m.node("Ceil", {"difference"}, {"mask"});
      },
      [&](ModelMaker& m) {
        draw(m);
        m.node("Less", {"drawn", "drop"}, {"dropped"});
        m.node("Not", {"dropped"}, {"kept"});
        ModelMaker::attr(m.node("Cast", {"kept"}, {"mask"}), "to", int64_t{Proto::FLOAT});
      },
      [&](ModelMaker& m) {  // chosen by
        m.node("RandomUniformLike", {"branch"}, {"drawn"});
        m.node("Less", {"drawn", "keep"}, {"kept"});
        number(m, "one", 1);
        number(m, "zero", 0);
        m.node("Where", {"kept", "one", "zero"}, {"mask"});
      },
  };
  const HostTensor x(DType::f32, Shape{1, 3, 1, 1}, {1, 2, 3});
  for (std::size_t i = 0; i < masks.size(); ++i) {
    CAPTURE(i);
    const ImportedModel model = bind(with_mask(16, masks[i]), 1, 1);
    CHECK(model.notes ==
          std::vector<std::string>{"random masks (DropPath) are replaced by their means, as Dropout passes "
                                   "its input on: nothing is dropped"});
    REQUIRE(model.graph.parameters().size() == 1);  // w: 0.5, 1.5, 2.5 and so on
    const HostTensor y = evaluate(model.graph, {{model.graph.inputs[0], x}}, model.graph.outputs)[0];
    CHECK(y.values[0] == doctest::Approx(1 + (0.5 * 1 + 1.5 * 2 + 2.5 * 3)));
    CHECK(y.values[2] == doctest::Approx(3 + (6.5 * 1 + 7.5 * 2 + 8.5 * 3)));
    // What is not trained must be what its file says.
    const OnnxFile file = OnnxFile::parse(with_mask(16, masks[i]).bytes(), "m.onnx");
    CHECK_THROWS_WITH_AS(file.bind(op_table(), {.height = 1, .width = 1, .fixed = true}),
                         doctest::Contains("draws at random"), Error);
  }
  // Read as it is, what is drawn is trained.
  const ImportedModel noisy = bind(with_mask(16, [](ModelMaker& m) { m.node("RandomUniformLike", {"x"}, {"mask"}); }));
  CHECK(noisy.notes == std::vector<std::string>{"RandomUniformLike is drawn once and trained, as RandomUniform is"});
  CHECK(named(noisy.graph, "mask").kind == ValueKind::parameter);
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

TEST_CASE("element types of initializers") {
  ModelMaker m = small_model();
  auto* w = m.model.mutable_graph()->mutable_initializer(0);
  w->clear_float_data();
  SUBCASE("double, typed") {
    w->set_data_type(Proto::DOUBLE);
    for (int i = 0; i < 12; ++i) w->add_double_data(0.1);
    const ImportedModel model = bind(m);
    CHECK(named(model.graph, "w").type.dtype == DType::f32);
    CHECK(named(model.graph, "w").data->values[7] == static_cast<double>(0.1f));
    CHECK(model.notes.size() == 1);
  }
  SUBCASE("float16, raw") {
    w->set_data_type(Proto::FLOAT16);
    std::string raw;
    for (const uint16_t bits : {0x3c00, 0xc000, 0x0001, 0x0400, 0x7bff, 0x3555, 0, 0x8000, 0x3800, 0, 0, 0}) {
      raw += static_cast<char>(bits & 0xff);
      raw += static_cast<char>(bits >> 8);
    }
    w->set_raw_data(raw);
    const Graph graph = bind(m).graph;
    const auto& values = named(graph, "w").data->values;
    CHECK(values[0] == 1.0);
    CHECK(values[1] == -2.0);
    CHECK(values[2] == std::ldexp(1.0, -24));
    CHECK(values[3] == std::ldexp(1.0, -14));
    CHECK(values[4] == 65504.0);
    CHECK(values[5] == 0.333251953125);
    CHECK(values[8] == 0.5);
  }
  SUBCASE("bfloat16, typed") {
    w->set_data_type(Proto::BFLOAT16);
    for (int i = 0; i < 12; ++i) w->add_int32_data(0xbf80);
    CHECK(named(bind(m).graph, "w").data->values[0] == -1.0);
  }
  SUBCASE("what it can't be") {
    w->set_data_type(Proto::COMPLEX64);
    for (int i = 0; i < 24; ++i) w->add_float_data(1);
    CHECK_THROWS_WITH_AS(bind(m), doctest::Contains("initializer 'w': element type COMPLEX64 is not supported"), Error);
  }
}

TEST_CASE("a network in double runs in f32") {
  ModelMaker m;
  m.input("x", {1, 2, -1, -1}, Proto::DOUBLE);
  auto& w = m.empty("w", {2, 2, 1, 1}, Proto::DOUBLE);
  for (int i = 0; i < 4; ++i) w.add_double_data(i);
  m.node("Conv", {"x", "w"}, {"y"});
  m.output("y");
  const ImportedModel model = bind(m);
  CHECK(model.graph.type(model.graph.outputs[0]).dtype == DType::f32);
  CHECK(model.notes.size() == 2);
}

TEST_CASE("doubles that are made of whole numbers or chosen by truth values run in f32 too") {
  ModelMaker m;
  m.input("x", {1, 2, -1, -1});
  for (const auto& [name, value] : {std::pair{"half", 0.5}, {"huge", 1e300}, {"least", -1e300}}) {
    m.empty(name, {}, Proto::DOUBLE).add_double_data(value);
  }
  m.floats("limit", {1});
  const auto cast = [&](const char* from, const char* to, int type) {
    ModelMaker::attr(m.node("Cast", {from}, {to}), "to", int64_t{type});
  };
  cast("x", "levels", Proto::INT64);
  cast("levels", "wide", Proto::DOUBLE);
  m.node("Mul", {"wide", "half"}, {"scaled"});
  m.node("Greater", {"x", "limit"}, {"bright"});
  cast("bright", "mask", Proto::DOUBLE);
  m.node("Where", {"bright", "huge", "least"}, {"chosen"});
  m.node("Mul", {"mask", "chosen"}, {"marked"});
  m.node("Add", {"scaled", "marked"}, {"sum"});
  cast("sum", "y", Proto::FLOAT);
  m.output("y");
  const ImportedModel model = bind(m);
  CHECK(model.notes == std::vector<std::string>{"what the file computes in double precision runs in f32 here"});
  // Beyond a float is its bound.
  int bounds = 0;
  for (const Value& value : model.graph.values) {
    CHECK(value.type.dtype != DType::f64);
    if (value.data == nullptr || value.data->values.size() != 1) continue;
    bounds += std::abs(value.data->values[0]) == std::numeric_limits<float>::max() ? 1 : 0;
  }
  CHECK(bounds == 2);
}

// What PyTorch writes for x[:, :, h // 2 : h // 2 + 4]: sizes computed from the image's shape.
ModelMaker crop_model() {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.ints("two", {2});
  m.ints("four", {4});
  m.node("Shape", {"x"}, {"shape"});
  ModelMaker::attr(m.node("Gather", {"shape", "two"}, {"h"}), "axis", int64_t{0});
  m.node("Div", {"h", "two"}, {"half"});
  ModelMaker::attr(m.node("Cast", {"half"}, {"half_float"}), "to", int64_t{Proto::FLOAT});
  m.node("Floor", {"half_float"}, {"floored"});
  ModelMaker::attr(m.node("Cast", {"floored"}, {"start"}), "to", int64_t{Proto::INT64});
  m.node("Add", {"start", "four"}, {"end"});
  m.node("Slice", {"x", "start", "end", "two"}, {"y"}, "cut");
  m.output("y");
  return m;
}

TEST_CASE("sizes computed from the image's shape fold when it is bound") {
  for (const int64_t height : {9, 32}) {
    const Graph graph = bind(crop_model(), height, 5).graph;
    REQUIRE(graph.nodes.size() == 1);
    CHECK(graph.values.size() == 2);
    CHECK(graph.nodes[0].name == "cut");
    CHECK(graph.nodes[0].attrs.ints("starts") == Dims{height / 2});
    CHECK(graph.nodes[0].attrs.ints("ends") == Dims{height / 2 + 4});
    CHECK(graph.nodes[0].attrs.ints("axes") == Dims{2});
    CHECK(graph.shape(graph.outputs[0]) == Shape{1, 3, 4, 5});
  }
}

TEST_CASE("a size that depends on the image's content is refused by name") {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.ints("end", {4});
  m.node("Relu", {"x"}, {"h"});
  ModelMaker::attr(m.node("ReduceMax", {"h"}, {"max"}), "keepdims", int64_t{0});
  ModelMaker::attr(m.node("Cast", {"max"}, {"start"}), "to", int64_t{Proto::INT64});
  m.node("Slice", {"x", "start", "end"}, {"y"}, "cut");
  m.output("y");
  CHECK_THROWS_WITH_AS(bind(m),
                       doctest::Contains("node 'cut' (Slice): input 'starts' (start): depends on the image's "), Error);
}

TEST_CASE("a size that depends on initializers is computed from them") {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  auto& pair = m.floats("pair", {2});  // two floats: for all we know, a parameter
  pair.set_float_data(0, -1.0f);
  pair.set_float_data(1, 2.0f);
  m.ints("axes", {2, 3});
  m.ints("ends", {7, 6});
  m.node("Relu", {"pair"}, {"positive"});
  ModelMaker::attr(m.node("Cast", {"positive"}, {"starts"}), "to", int64_t{Proto::INT64});
  m.node("Slice", {"x", "starts", "ends", "axes"}, {"y"});
  m.output("y");
  const Graph graph = bind(m).graph;
  REQUIRE(graph.nodes.size() == 1);
  CHECK(graph.nodes[0].attrs.ints("starts") == Dims{0, 2});
  CHECK(graph.parameters().empty());
}

TEST_CASE("a constant is no parameter, and one element is a constant") {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.floats("half", {});
  auto* attr = m.node("Constant", {}, {"mean"}).add_attribute();
  attr->set_name("value");
  attr->set_type(onnx::AttributeProto::TENSOR);
  attr->mutable_t()->set_data_type(Proto::FLOAT);
  for (const int64_t dim : {3, 1, 1}) attr->mutable_t()->add_dims(dim);
  for (const float value : {0.1f, 0.2f, 0.3f}) attr->mutable_t()->add_float_data(value);
  m.floats("gain", {3, 1, 1});
  m.node("Mul", {"x", "half"}, {"a"});
  m.node("Sub", {"a", "mean"}, {"b"});
  m.node("Mul", {"b", "gain"}, {"y"});
  m.output("y");
  const Graph graph = bind(m).graph;
  CHECK(named(graph, "half").kind == ValueKind::constant);
  CHECK(named(graph, "mean").kind == ValueKind::constant);
  CHECK(named(graph, "gain").kind == ValueKind::parameter);
}

TEST_CASE("a constant too large to fold is refused before it is made") {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.ints("shape", {1, 1 << 10, 1 << 10, 1 << 10});
  m.node("ConstantOfShape", {"shape"}, {"huge"}, "bomb");
  m.node("ReduceMax", {"huge"}, {"max"});
  m.node("Add", {"x", "max"}, {"y"});
  m.output("y");
  CHECK_THROWS_WITH_AS(bind(m), doctest::Contains("node 'bomb' (ConstantOfShape)"), Error);
}

TEST_CASE("a size from initializers can't ask for any amount of memory") {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.floats("pair", {2});
  m.ints("shape", {1 << 14, 1 << 14, 2});
  m.ints("ends", {7, 6});
  m.node("Expand", {"pair", "shape"}, {"huge"});
  ModelMaker::attr(m.node("Cast", {"huge"}, {"starts"}), "to", int64_t{Proto::INT64});
  m.node("Slice", {"x", "starts", "ends"}, {"y"}, "cut");
  m.output("y");
  CHECK_THROWS_WITH_AS(bind(m), doctest::Contains("(starts): the file's constant part grows beyond"), Error);
}

TEST_CASE("what takes long to compute is left to the fit") {
  // 4 million windows of 4 million elements.
  ModelMaker m = small_model();
  m.ints("shape", {1, 1, 4096, 4096});
  m.node("ConstantOfShape", {"shape"}, {"c"});
  ModelMaker::attr(m.node("AveragePool", {"c"}, {"p"}), "kernel_shape", std::vector<int64_t>{2001, 2001});
  m.output("p");
  CHECK(bind(m).graph.nodes.back().op->name == "AveragePool");
  // The same as a size.
  ModelMaker size = small_model();
  size.ints("shape", {4096, 4096});
  size.node("ConstantOfShape", {"shape"}, {"c"});
  size.node("MatMul", {"c", "c"}, {"product"});
  size.node("Size", {"product"}, {"cheap"});
  ModelMaker::attr(size.node("Cast", {"product"}, {"whole"}), "to", int64_t{Proto::INT64});
  size.node("Reshape", {"y", "whole"}, {"z"}, "by its values");
  size.output("z");
  CHECK_THROWS_WITH_AS(bind(size), doctest::Contains("node 'by its values' (Reshape): "), Error);
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

TEST_CASE("masks that are made of constants fold") {
  ModelMaker m = small_model();
  m.model.mutable_opset_import(0)->set_version(15);
  const auto constant = [&](const std::string& name, onnx::TensorProto tensor) {
    auto& attr = *m.node("Constant", {}, {name}).add_attribute();
    attr.set_name("value");
    attr.set_type(onnx::AttributeProto::TENSOR);
    *attr.mutable_t() = std::move(tensor);
  };
  const auto tensor = [](const std::vector<int64_t>& dims, int type) {
    onnx::TensorProto result;
    result.set_data_type(type);
    for (const int64_t dim : dims) result.add_dims(dim);
    return result;
  };
  // What an exporter makes of mask[rows] = -100.
  m.ints("sides", {8, 6});
  m.node("ConstantOfShape", {"sides"}, {"zeros"});
  onnx::TensorProto places = tensor({2, 1}, Proto::INT64), rows = tensor({2, 6}, Proto::FLOAT);
  for (const int64_t row : {1, -1}) places.add_int64_data(row);
  for (int i = 0; i < 12; ++i) rows.add_float_data(-100);
  constant("places", places);
  constant("rows", rows);
  m.node("ScatterND", {"zeros", "places", "rows"}, {"written"});
  // A triangle where that is 0, and the diagonal below.
  m.node("Trilu", {"written"}, {"triangle"});
  m.node("CastLike", {"sides", "zeros"}, {"unread"});
  m.node("IsInf", {"triangle"}, {"infinite"});
  m.node("Where", {"infinite", "zeros", "triangle"}, {"finite"});
  ModelMaker::attr(m.node("EyeLike", {"zeros"}, {"diagonal"}), "k", int64_t{-1});
  m.node("Add", {"finite", "diagonal"}, {"mask"});
  m.node("Add", {"y", "mask"}, {"z"});
  m.output("z");
  const ImportedModel model = bind(m);
  CHECK(model.graph.nodes.size() == 3);
  const Value& mask = named(model.graph, "mask");
  REQUIRE(mask.kind == ValueKind::constant);
  for (int64_t r = 0; r < 8; ++r) {
    for (int64_t c = 0; c < 6; ++c) {
      const double expected = (r == 1 || r == 7) && c >= r ? -100 : c == r - 1 ? 1 : 0;
      CHECK(mask.data->values[static_cast<std::size_t>(r * 6 + c)] == expected);
    }
  }
}

TEST_CASE("weights in bytes become parameters that start at what they stand for") {
  ModelMaker m = small_model();
  auto& bytes = m.empty("bytes", {2, 4, 1, 1}, Proto::INT8);
  for (int i = 0; i < 8; ++i) bytes.add_int32_data(i - 4);
  auto& scale = m.empty("scale", {2}, Proto::FLOAT);
  scale.add_float_data(0.5F);
  scale.add_float_data(2);
  auto& zero = m.empty("zero", {2}, Proto::INT8);
  zero.add_int32_data(1);
  zero.add_int32_data(-1);
  ModelMaker::attr(m.node("DequantizeLinear", {"bytes", "scale", "zero"}, {"filters"}), "axis", int64_t{0});
  m.node("Conv", {"y", "filters"}, {"z"});
  m.output("z");
  const ImportedModel model = bind(m);
  CHECK(model.graph.parameters().size() == 2);
  const Value& filters = named(model.graph, "filters");
  CHECK(filters.kind == ValueKind::parameter);
  CHECK(filters.data->values == std::vector<double>{-2.5, -2, -1.5, -1, 2, 4, 6, 8});
  CHECK_FALSE(model.graph.find("scale").valid());
}

TEST_CASE("what TopK and CumSum ask for is constant, a grid may be computed") {
  ModelMaker m = small_model();
  m.ints("k", {2});
  m.empty("axis", {}, Proto::INT64).add_int64_data(-1);
  ModelMaker::attr(m.node("TopK", {"y", "k"}, {"values", "places"}), "axis", int64_t{1});
  m.node("CumSum", {"values", "axis"}, {"sums"});
  m.output("sums");
  CHECK(bind(m).graph.shape(bind(m).graph.outputs.back()) == Shape{1, 2, 8, 6});
  ModelMaker old(9);
  old.model = small_model().model;
  old.model.mutable_opset_import(0)->set_version(9);
  auto& top = old.node("TopK", {"y"}, {"values", "places"});
  ModelMaker::attr(top, "axis", int64_t{1});
  ModelMaker::attr(top, "k", int64_t{3});
  old.output("values");
  CHECK(bind(old).graph.shape(bind(old).graph.outputs.back()) == Shape{1, 3, 8, 6});

  ModelMaker sample = small_model();
  sample.model.mutable_opset_import(0)->set_version(16);
  ModelMaker::attr(sample.node("Transpose", {"x"}, {"t"}), "perm", std::vector<int64_t>{0, 2, 3, 1});
  sample.ints("start", {0});
  sample.ints("end", {2});
  sample.ints("last", {3});
  sample.node("Slice", {"t", "start", "end", "last"}, {"grid"});
  sample.node("GridSample", {"y", "grid"}, {"z"}, "warp");
  sample.output("z");
  const Graph warped = bind(sample).graph;
  CHECK(warped.nodes.back().op->name == "GridSampleComputed");
  ModelMaker::attr(sample.node("Cast", {"grid"}, {"whole"}), "to", int64_t{Proto::INT64});
  sample.node("GridSample", {"y", "whole"}, {"other"}, "by whole numbers");
  sample.output("other");
  CHECK_THROWS_WITH_AS(bind(sample), doctest::Contains("grid is of type i64, expected f32"), Error);
  CHECK(warped.shape(warped.outputs.back()) == Shape{1, 4, 8, 6});
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
