// Graph -> ONNX file -> the same graph.
#include "graph/onnx_export.h"

#include <doctest/doctest.h>
#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>

#include <filesystem>

#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "graph/onnx_import.h"
#include "graph/op.h"
#include "ops/table.h"
#include "tests/ops/case.h"

namespace hourglass::test {
namespace {

Init uniform(double bound) { return {.kind = Init::Kind::uniform, .low = -bound, .high = bound}; }

// x -> Conv -> LeakyRelu -> y
Graph small_graph() {
  Graph graph;
  graph.name = "small";
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 3, 8, 6}});
  const ValueId w = b.parameter("w", {DType::f32, Shape{4, 3, 3, 3}}, uniform(0.25));
  const ValueId bias = b.parameter("b", {DType::f32, Shape{4}}, {.kind = Init::Kind::normal, .stddev = 0.1});
  const ValueId h = b.add("Conv", {x, w, bias}, {{"pads", Dims{1, 1, 1, 1}}}, "conv");
  graph.outputs = {b.add("LeakyRelu", {h}, {{"alpha", 0.2}}, "act")};
  return graph;
}

ImportedModel again(const std::string& bytes) { return import_onnx(bytes, "again.onnx", op_table()); }

TEST_CASE("what is written comes back the same") {
  const Graph graph = small_graph();
  const std::string bytes = export_onnx(graph);
  CHECK(bytes == export_onnx(graph));
  const ImportedModel model = again(bytes);
  CHECK(to_string(model.graph) == to_string(graph));
  CHECK(model.producer == "hourglass");
  CHECK(model.opset == kExportOpset);
  const Init& init = model.graph.value(model.graph.find("w")).init;
  CHECK(init.kind == Init::Kind::uniform);
  CHECK(init.low == -0.25);
  CHECK(model.graph.value(model.graph.find("b")).init.stddev == 0.1);
  CHECK(export_onnx(model.graph) == bytes);
}

TEST_CASE("equal constant inputs are written once") {
  Graph graph;
  graph.name = "pads";
  GraphBuilder b(graph, op_table());
  ValueId x = b.input("x", {DType::f32, Shape{1, 2, 8, 8}});
  for (const char* name : {"first", "second"}) {
    x = b.add("Pad", {x}, {{"mode", "reflect"}, {"pads", Dims{0, 0, 1, 1, 0, 0, 1, 1}}}, name);
  }
  graph.outputs = {b.add("Pad", {x}, {{"mode", "reflect"}, {"pads", Dims{0, 0, 2, 2, 0, 0, 2, 2}}}, "third")};
  const std::string bytes = export_onnx(graph);
  CHECK(bytes.find("first.pads") != std::string::npos);
  CHECK(bytes.find("second.pads") == std::string::npos);
  CHECK(bytes.find("third.pads") != std::string::npos);
  CHECK(to_string(again(bytes).graph) == to_string(graph));
}

TEST_CASE("parts are written by their sizes, and what only a newer opset has in that") {
  std::vector<std::string> own_ops{"none yet"};
  Graph parts;
  GraphBuilder b(parts, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 5, 8, 8}});
  parts.outputs = b.add_all("Split", {x}, {{"axis", int64_t{1}}, {"num_outputs", int64_t{2}}}, "split");
  const ImportedModel model = again(export_onnx(parts, {.own_ops = &own_ops}));
  CHECK(own_ops.empty());
  CHECK(model.opset == kExportOpset);
  CHECK(model.graph.shape(model.graph.outputs.at(0)) == Shape{1, 3, 8, 8});
  CHECK(model.graph.shape(model.graph.outputs.at(1)) == Shape{1, 2, 8, 8});

  Graph warped;
  GraphBuilder w(warped, op_table());
  const ValueId src = w.input("src", {DType::f32, Shape{1, 2, 8, 8}});
  const ValueId grid = w.parameter("grid", {DType::f32, Shape{1, 4, 4, 2}}, {.kind = Init::Kind::uniform, .low = -1});
  warped.outputs = {w.add("GridSampleComputed", {src, grid}, {{"mode", "cubic"}}, "warp")};
  const ImportedModel newer = again(export_onnx(warped, {.own_ops = &own_ops}));
  CHECK(own_ops.empty());
  CHECK(newer.opset == kNewerExportOpset);
  CHECK(newer.graph.nodes.at(0).op->name == "GridSampleComputed");
  CHECK(newer.graph.nodes[0].attrs.string("mode") == "cubic");
}

TEST_CASE("products of transposed batches, and places of maxima, are ONNX's own ops") {
  std::vector<std::string> own_ops;
  for (const int64_t trans_a : {0, 1}) {
    for (const int64_t trans_b : {0, 1}) {
      Graph graph;
      GraphBuilder b(graph, op_table());
      const ValueId left = b.input("left", {DType::f32, trans_a == 0 ? Shape{1, 3, 4, 5} : Shape{1, 3, 5, 4}});
      HostTensor right(DType::f32, trans_b == 0 ? Shape{3, 5, 6} : Shape{3, 6, 5});
      for (std::size_t i = 0; i < right.values.size(); ++i) right.values[i] = static_cast<double>(i % 7) - 3;
      graph.outputs = {b.add("MatMul", {left, b.constant(right)}, {{"trans_a", trans_a}, {"trans_b", trans_b}})};
      const Graph read = again(export_onnx(graph, {.own_ops = &own_ops})).graph;
      CHECK(own_ops.empty());
      HostTensor given(DType::f32, graph.shape(left));
      for (std::size_t i = 0; i < given.values.size(); ++i) given.values[i] = static_cast<double>(i % 11) - 5;
      const HostTensor expected = evaluate(graph, {{left, given}}, graph.outputs)[0];
      const HostTensor got = evaluate(read, {{read.inputs[0], given}}, read.outputs)[0];
      CHECK(got.shape == Shape{1, 3, 4, 6});
      CHECK(got.values == expected.values);
    }
  }
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 6, 6}});
  const Attrs window{{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}};
  const std::vector<ValueId> pooled = b.add_all("MaxPool", {x}, window, "pool");
  const ValueId places = b.add("MaxPoolIndices", {x}, window, "places");
  graph.outputs = {b.add("MaxUnpool", {pooled[0], places}, window, "back")};
  const Graph read = again(export_onnx(graph, {.own_ops = &own_ops})).graph;
  CHECK(own_ops.empty());
  HostTensor given(DType::f32, graph.shape(x));
  for (std::size_t i = 0; i < given.values.size(); ++i) given.values[i] = static_cast<double>(i * 37 % 71);
  CHECK(evaluate(read, {{read.inputs[0], given}}, read.outputs)[0].values ==
        evaluate(graph, {{x, given}}, graph.outputs)[0].values);
}

TEST_CASE("values and element types survive") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 4, 4}});
  const auto data = std::make_shared<const HostTensor>(
      DType::f32, Shape{2, 2, 1, 1}, std::vector<double>{static_cast<double>(0.1f), -1e-30f, 3e38f, 0});
  const ValueId w = b.parameter("w", {DType::f32, data->shape}, {}, data);
  // A constant of several floats must not come back as a parameter.
  const ValueId c = b.constant({DType::f32, Shape{2, 2, 1, 1}, {1, 2, 3, 4}}, "c");
  graph.outputs = {b.add("Conv", {b.add("Conv", {x, w}), c})};
  const Graph back = again(export_onnx(graph)).graph;
  CHECK(back.value(back.find("w")).data->values == data->values);
  CHECK(back.value(back.find("w")).kind == ValueKind::parameter);
  CHECK(back.value(back.find("c")).kind == ValueKind::constant);
  CHECK(back.value(back.find("c")).data->values == std::vector<double>{1, 2, 3, 4});
}

TEST_CASE("dynamic size leaves height and width open") {
  const std::string bytes = export_onnx(small_graph(), {.dynamic_size = true});
  onnx::ModelProto proto;
  REQUIRE(proto.ParseFromString(bytes));
  CHECK(proto.graph().value_info_size() == 0);
  const auto& dims = proto.graph().input(0).type().tensor_type().shape();
  CHECK(dims.dim(1).dim_value() == 3);
  CHECK(dims.dim(2).dim_param() == "height");
  CHECK(dims.dim(3).dim_param() == "width");
  CHECK(proto.graph().output(0).type().tensor_type().shape().dim(3).dim_param() == "width");
  const ImportedModel model = import_onnx(bytes, "m.onnx", op_table(), {.height = 40, .width = 50});
  CHECK(model.graph.shape(model.graph.outputs[0]) == Shape{1, 4, 40, 50});

  REQUIRE(proto.ParseFromString(export_onnx(small_graph())));
  CHECK(proto.graph().value_info_size() == 1);
  CHECK(proto.opset_import_size() == 1);
}

TEST_CASE("a gradient is a valid file too, its ops in their own domain") {
  Graph graph = small_graph();
  GraphBuilder b(graph, op_table());
  const ValueId w = b.parameter("w2", {DType::f32, Shape{1, 4, 8, 6}}, uniform(0.1));
  const ValueId loss = b.add("Conv", {graph.outputs[0], w}, {}, "loss");
  graph.outputs = {loss};
  const Differentiated d = differentiate(graph, op_table(), loss, graph.parameters());
  const std::string bytes = export_onnx(d.graph);
  onnx::ModelProto proto;
  REQUIRE(proto.ParseFromString(bytes));
  REQUIRE(proto.opset_import_size() == 2);
  CHECK(proto.opset_import(1).domain() == "hourglass");
  int own = 0;
  for (const auto& node : proto.graph().node()) {
    const bool internal = op_table().find(node.op_type()) != nullptr && op_table().find(node.op_type())->internal;
    CHECK((node.domain() == "hourglass") == internal);
    own += internal ? 1 : 0;
  }
  CHECK(own >= 3);
  CHECK(to_string(again(bytes).graph) == to_string(d.graph));
}

TEST_CASE("what can't be written says why") {
  Graph graph = small_graph();
  graph.value(graph.find("w")).init.kind = Init::Kind::values;
  CHECK_THROWS_WITH_AS(export_onnx(graph), "parameter 'w' has neither values nor a distribution", Error);
  graph.value(graph.find("w")).init = uniform(1);
  graph.value(graph.find("w")).type.shape = Shape{};
  CHECK_THROWS_WITH_AS(export_onnx(graph), "parameter 'w' is drawn and a scalar: give it the shape [1]", Error);
  CHECK_THROWS_WITH_AS(write_onnx(small_graph(), "/no/such/folder/net.onnx"),
                       "/no/such/folder/net.onnx: can't be written", Error);
}

TEST_CASE("write_onnx writes what export_onnx says") {
  const auto path = std::filesystem::temp_directory_path() / "hourglass_write_onnx.onnx";
  write_onnx(small_graph(), path);
  const ImportedModel model = import_onnx(path, op_table());
  std::filesystem::remove(path);
  CHECK(to_string(model.graph) == to_string(small_graph()));
}

// An attribute that equals our default is not written, so our defaults must be ONNX's.
TEST_CASE("the ops' defaults are ONNX's") {
  int compared = 0;
  for (const OpDef* op : op_table().all()) {
    if (op->internal) continue;
    const auto* schema = onnx::OpSchemaRegistry::Schema(std::string(op->name), kExportOpset, onnx::ONNX_DOMAIN);
    if (schema == nullptr) continue;
    for (const AttrSpec& spec : op->attrs) {
      const auto it = schema->attributes().find(spec.name);
      if (it == schema->attributes().end() || !spec.default_value) continue;
      if (spec.name == "seed") continue;  // any will do
      const onnx::AttributeProto& theirs = it->second.default_value;
      CAPTURE(op->name);
      CAPTURE(spec.name);
      const std::string ours = to_string(*spec.default_value);
      CAPTURE(ours);
      switch (theirs.type()) {
        case onnx::AttributeProto::INT: CHECK(*spec.default_value == AttrValue(theirs.i())); break;
        case onnx::AttributeProto::STRING: CHECK(*spec.default_value == AttrValue(theirs.s())); break;
        case onnx::AttributeProto::FLOAT:
          REQUIRE(std::holds_alternative<double>(*spec.default_value));
          CHECK(static_cast<float>(std::get<double>(*spec.default_value)) == theirs.f());
          break;
        case onnx::AttributeProto::INTS:
          CHECK(*spec.default_value == AttrValue(Dims(theirs.ints().begin(), theirs.ints().end())));
          break;
        default:
          // ONNX derives it from the rest of the node; we mark that by an empty list.
          CHECK((ours == "[]" || it->second.required));
      }
      ++compared;
    }
  }
  CHECK(compared > 20);
}

// Float inputs are parameters, integers and scalars constants; an unused image makes the file complete.
TEST_CASE("every case of every op survives the round trip") {
  for (const OpDef* op : op_table().all()) {
    if (op->by_type) continue;  // folds on the way back
    for (const std::string& text : cases_of(*op)) {
      CAPTURE(op->name);
      CAPTURE(text);
      const Case c = parse_case(*op, text);
      const std::vector<HostTensor> values = draw_inputs(c, 1);
      Graph graph;
      graph.name = "case";
      GraphBuilder b(graph, op_table());
      b.input("image", {DType::f32, Shape{1, 1, 1, 1}});
      std::vector<ValueId> inputs;
      bool trains = false;
      for (std::size_t i = 0; i < c.inputs.size(); ++i) {
        const CaseInput& input = c.inputs[i];
        if (!input.given) {
          inputs.push_back(kNoValue);
        } else if (is_floating(input.type.dtype) && input.type.shape.rank() > 0) {
          inputs.push_back(b.parameter("p", {DType::f32, input.type.shape}, uniform(1)));
          trains = true;
        } else {
          inputs.push_back(b.constant(values[i]));
        }
      }
      if (!trains || op->plan == nullptr) continue;
      while (!inputs.empty() && !inputs.back().valid()) inputs.pop_back();
      graph.outputs = {b.add(op->name, inputs, c.attrs, "node")};
      std::string bytes;
      CHECK_NOTHROW(bytes = export_onnx(graph));
      if (bytes.empty()) continue;
      const Graph back = again(bytes).graph;
      if (to_string(back) == to_string(graph)) continue;
      // Another way to say the same (a Dropout comes back as Identity): then it computes the same.
      CHECK(to_string(again(export_onnx(back)).graph) == to_string(back));
      const auto run = [&](const Graph& g) {
        std::map<ValueId, HostTensor> given{{g.inputs[0], HostTensor(DType::f32, Shape{1, 1, 1, 1})}};
        std::size_t next = 0;
        for (const ValueId id : g.parameters()) {
          while (!is_floating(values[next].dtype) || values[next].shape.rank() == 0) ++next;
          given[id] = values[next++];
        }
        return evaluate(g, given, g.outputs)[0].values;
      };
      CHECK(run(back) == run(graph));
    }
  }
}

}  // namespace
}  // namespace hourglass::test
