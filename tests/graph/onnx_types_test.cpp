// Element types of ONNX files: half and double precision, bytes that stand for weights, and their initializers.
#include "graph/onnx_import.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/table.h"
#include "tests/graph/onnx_bind.h"
#include "tests/graph/onnx_maker.h"

namespace hourglass::test {
namespace {

using Proto = onnx::TensorProto;

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

}  // namespace
}  // namespace hourglass::test
