// The files in models/: what the builder makes, valid for other tools, and the same graph when read again.
#include <doctest/doctest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include "graph/onnx_export.h"
#include "graph/onnx_import.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

std::string file_of(const Graph& graph) { return export_onnx(graph, {.dynamic_size = true}); }

}  // namespace

TEST_CASE("the embedded files are what the builder makes, at any size") {
  for (const Builtin& entry : builtins()) {
    CAPTURE(entry.name);
    const std::string_view file = builtin_file(entry.name);
    // CHECK would print the bytes. When this fails on purpose: models/README.md has the commands that write the files.
    const bool same = file == file_of(make_builtin(entry.name, {.height = 512, .width = 512}));
    CHECK(same);
    const bool same_at_other_size = file == file_of(make_builtin(entry.name, {.height = 192, .width = 320}));
    CHECK(same_at_other_size);
    CHECK(file.size() < 30000);
  }
  CHECK_THROWS(builtin_file("huge"));
}

TEST_CASE("ONNX's checker and its strict shape inference accept the files") {
  for (const Builtin& entry : builtins()) {
    CAPTURE(entry.name);
    onnx::ModelProto model;
    REQUIRE(model.ParseFromString(std::string(builtin_file(entry.name))));
    CHECK_NOTHROW(onnx::checker::check_model(model));
    const onnx::ShapeInferenceOptions strict{true, 1, false};
    CHECK_NOTHROW(onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), strict));
    // No op of our own, no weights.
    CHECK(model.opset_import_size() == 1);
    for (const auto& tensor : model.graph().initializer()) CHECK(tensor.ByteSizeLong() < 2000);
  }
}

TEST_CASE("a file read again is the builder's graph") {
  for (const Builtin& entry : builtins()) {
    CAPTURE(entry.name);
    const ImportedModel model =
        import_onnx(builtin_file(entry.name), entry.file_name, op_table(), {.height = 192, .width = 256});
    const Graph made = make_builtin(entry.name, {.height = 192, .width = 256});
    const bool same = to_string(model.graph) == to_string(made);
    CHECK(same);
    CHECK(model.notes.empty());
    // How parameters start does not stand in the dump.
    const std::vector<ValueId> read = model.graph.parameters(), built = made.parameters();
    REQUIRE(read.size() == built.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
      const Init &a = model.graph.value(read[i]).init, &b = made.value(built[i]).init;
      CHECK(a.kind == Init::Kind::uniform);
      // Files hold floats.
      CHECK(static_cast<float>(a.low) == static_cast<float>(b.low));
      CHECK(static_cast<float>(a.high) == static_cast<float>(b.high));
    }
  }
}

}  // namespace hourglass::test
