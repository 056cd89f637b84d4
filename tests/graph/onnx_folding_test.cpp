// What is computed as an ONNX file is bound: sizes, masks and constants, and what is too large or too long for that.
#include "graph/onnx_import.h"

#include <doctest/doctest.h>

#include <functional>

#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/table.h"
#include "tests/graph/onnx_bind.h"
#include "tests/graph/onnx_maker.h"

namespace hourglass::test {
namespace {

using Proto = onnx::TensorProto;

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

}  // namespace
}  // namespace hourglass::test
