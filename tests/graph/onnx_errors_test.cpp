// Files that must be refused, and what is said about them.
#include <doctest/doctest.h>

#include <algorithm>

#include <filesystem>
#include <fstream>

#include "graph/error.h"
#include "graph/onnx_import.h"
#include "ops/table.h"
#include "tests/graph/onnx_maker.h"

namespace hourglass::test {
namespace {

namespace fs = std::filesystem;
using Proto = onnx::TensorProto;

std::string refusal(const std::string& bytes) {
  try {
    import_onnx(bytes, "m.onnx", op_table(), {.height = 8, .width = 8});
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}
std::string refusal(const ModelMaker& m) { return refusal(m.bytes()); }

#define CHECK_REFUSED(what, text)           \
  do {                                      \
    const std::string said = refusal(what); \
    INFO(said);                             \
    CHECK(said.find(text) != said.npos);    \
    CHECK(said.starts_with("m.onnx: "));    \
    CHECK(said.size() < 1200);              \
  } while (false)

// A folder that is gone after the test.
struct Folder {
  fs::path path = fs::temp_directory_path() / "hourglass_onnx_errors_test";
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path / "model");
  }
  ~Folder() { fs::remove_all(path); }
  void write(const fs::path& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
};

TEST_CASE("bytes that are no model") {
  CHECK_REFUSED(std::string(), "the file is empty");
  CHECK_REFUSED(std::string("not an onnx file at all"), "is not an ONNX model");
  CHECK_REFUSED(std::string(4096, '\0'), "is not an ONNX model");
  CHECK_REFUSED(std::string("\xff\xd8\xff\xe0 JFIF", 9), "is not an ONNX model");
  // Every proper prefix is refused, and none crashes.
  const std::string bytes = small_model().bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(refusal(bytes.substr(0, size)) != "accepted");
  }
  CHECK(refusal(bytes) == "accepted");
}

TEST_CASE("damaged bytes never crash") {
  const std::string bytes = small_model().bytes();
  int accepted = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int mask : {0x01, 0x10, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ mask);
      accepted += refusal(damaged) == "accepted" ? 1 : 0;
    }
  }
  CHECK(accepted > 0);  // a changed weight is still a weight
}

TEST_CASE("files") {
  CHECK_THROWS_WITH_AS(OnnxFile::read("/no/such/net.onnx"), "/no/such/net.onnx: there is no such file", Error);
  CHECK_THROWS_WITH_AS(OnnxFile::read("/"), "/: is not a file", Error);
}

TEST_CASE("opsets") {
  ModelMaker m = small_model();
  m.model.mutable_opset_import(0)->set_version(6);
  CHECK_REFUSED(m, "declares opset 6, supported are 7 to ");
  m.model.mutable_opset_import(0)->set_version(1000);
  CHECK_REFUSED(m, "declares opset 1000, supported are 7 to ");
  m.model.clear_opset_import();
  CHECK_REFUSED(m, "declares no opset");
  m = small_model();
  m.model.mutable_opset_import(0)->set_domain("ai.onnx");
  CHECK(refusal(m) == "accepted");
  m.model.set_ir_version(99);  // only a newer container
  const ImportedModel model = import_onnx(m.bytes(), "m.onnx", op_table(), {.height = 8, .width = 8});
  REQUIRE(model.notes.size() == 1);
  CHECK(model.notes[0].starts_with("declares IR version 99, read as version "));
}

TEST_CASE("graphs that ONNX's checker refuses") {
  ModelMaker dangling = small_model();
  dangling.model.mutable_graph()->mutable_node(1)->set_input(0, std::string("nowhere"));
  CHECK_REFUSED(dangling, "ONNX's checker refuses it: ");

  ModelMaker cycle = small_model();
  cycle.model.mutable_graph()->mutable_node(0)->set_input(0, std::string("y"));
  CHECK_REFUSED(cycle, "ONNX's checker refuses it: ");

  ModelMaker twice = small_model();
  twice.model.mutable_graph()->mutable_node(1)->set_output(0, std::string("h"));
  CHECK_REFUSED(twice, "ONNX's checker refuses it: ");

  ModelMaker attribute = small_model();
  ModelMaker::attr(*attribute.model.mutable_graph()->mutable_node(1), "slope", 1.0f);
  CHECK_REFUSED(attribute, "slope");

  ModelMaker output = small_model();
  output.output("z");
  CHECK_REFUSED(output, "'z'");
}

TEST_CASE("everything unsupported is listed at once, before anything else") {
  ModelMaker m = small_model();
  m.node("Foo", {"y"}, {"foo"}, "first");
  m.node("NonMaxSuppression", {"y", "y"}, {"nms"}, "second");
  m.node("Conv", {"y", "w"}, {"bad"}, "shape mismatch comes later");
  auto& own = m.node("Attention", {"y"}, {"attention"}, "third");
  own.set_domain("com.microsoft");
  auto* import = m.model.add_opset_import();
  import->set_domain("com.microsoft");
  import->set_version(1);
  auto& branch = m.node("If", {"y"}, {"z"}, "fourth");
  for (const char* name : {"then_branch", "else_branch"}) {
    auto* attr = branch.add_attribute();
    attr->set_name(name);
    attr->set_type(onnx::AttributeProto::GRAPH);
    attr->mutable_g()->set_name("branch");
  }
  m.node("LeakyReluGrad", {"y", "y"}, {"grad"}, "fifth");
  CHECK(refusal(m) ==
        "m.onnx: 5 of 8 nodes are not supported:\n"
        "  node 'first' (Foo): the op is not supported\n"
        "  node 'second' (NonMaxSuppression): the op is not supported\n"
        "  node 'third' (Attention): domain 'com.microsoft' is not known\n"
        "  node 'fourth' (If): attribute 'then_branch' is a subgraph; attribute 'else_branch' is a subgraph; "
        "the op is not supported\n"
        "  node 'fifth' (LeakyReluGrad): the op is not supported");
}

TEST_CASE("numbers that are absurd are refused before anything is computed with them") {
  const int64_t huge = int64_t{1} << 62;
  const auto with_ints = [&](const char* op, const char* input, const std::vector<int64_t>& values) {
    ModelMaker m = small_model();
    m.ints(input, values);
    m.node(op, {"y", input}, {"z"}, "absurd");
    m.output("z");
    return m;
  };
  CHECK_REFUSED(with_ints("Tile", "repeats", {huge, huge, huge, huge}), "absurd");
  CHECK_REFUSED(with_ints("Reshape", "shape", {huge, huge, huge, -1}), "absurd");
  CHECK_REFUSED(with_ints("Split", "split", {huge, huge, huge, huge}), "absurd");
  CHECK_REFUSED(with_ints("Expand", "shape", {huge, huge, huge, huge}), "absurd");
  const auto with_attr = [&](const char* op, const char* name, const auto& value) {
    ModelMaker m = small_model();
    auto& node =
        std::string(op) == "Conv" ? m.node(op, {"y", "w4"}, {"z"}, "absurd") : m.node(op, {"y"}, {"z"}, "absurd");
    if (std::string(op) == "Conv") m.floats("w4", {4, 4, 3, 3});
    if (std::string(op) == "MaxPool" && std::string(name) != "kernel_shape") {
      ModelMaker::attr(node, "kernel_shape", std::vector<int64_t>{2, 2});
    }
    ModelMaker::attr(node, name, value);
    m.output("z");
    return m;
  };
  for (const char* op : {"Conv", "MaxPool"}) {
    for (const char* name : {"strides", "dilations"}) {
      CAPTURE(name);
      CHECK_REFUSED(with_attr(op, name, std::vector<int64_t>{huge, huge}), "absurd");
    }
    CHECK_REFUSED(with_attr(op, "pads", std::vector<int64_t>{huge, huge, huge, huge}), "absurd");
  }
  CHECK_REFUSED(with_attr("MaxPool", "kernel_shape", std::vector<int64_t>{huge, huge}), "absurd");
  CHECK_REFUSED(with_attr("DepthToSpace", "blocksize", huge), "absurd");
  CHECK_REFUSED(with_attr("SpaceToDepth", "blocksize", huge), "absurd");
}

TEST_CASE("an examination says of every node what came of it") {
  ModelMaker m = small_model();
  m.node("NonMaxSuppression", {"y", "y"}, {"nms"}, "unknown");
  m.node("Shape", {"x"}, {"shape"}, "size");
  m.node("Expand", {"y", "shape"}, {"wide"}, "mismatch");  // 3 channels against 4
  m.node("LeakyRelu", {"wide"}, {"behind"}, "behind");
  m.node("Greater", {"y", "y"}, {"mask"}, "mask");
  m.node("Where", {"mask", "y", "h"}, {"z"}, "choice");
  m.output("z");
  const Examination e = OnnxFile::parse(m.bytes(), "m.onnx").examine(op_table(), {.height = 8, .width = 6});
  REQUIRE(e.nodes.size() == 8);
  CHECK(e.opset == 13);
  CHECK(e.problem.empty());
  const auto of = [&](std::string_view name) {
    return *std::find_if(e.nodes.begin(), e.nodes.end(), [&](const NodeReport& node) { return node.name == name; });
  };
  CHECK(of("conv").problem.empty());
  CHECK_FALSE(of("conv").folded);
  CHECK(of("unknown").problem == "the op is not supported");
  CHECK(of("size").folded);
  CHECK(of("mismatch").problem.find("broadcast") != std::string::npos);
  CHECK(of("behind").blocked);
  CHECK(of("behind").problem.empty());
  CHECK(of("mask").problem.starts_with("supported only where it computes sizes"));
  CHECK(of("choice").problem.empty());

  const Examination fine =
      OnnxFile::parse(small_model().bytes(), "m.onnx").examine(op_table(), {.height = 8, .width = 6});
  CHECK(fine.problem.empty());
  const Examination sizeless = OnnxFile::parse(small_model().bytes(), "m.onnx").examine(op_table());
  CHECK(sizeless.problem.find("leaves the height") != std::string::npos);
}

TEST_CASE("nodes whose shapes don't fit are listed, what follows from them is not") {
  ModelMaker m = small_model();
  m.floats("w5", {4, 5, 1, 1});
  m.node("Conv", {"y", "w5"}, {"a"}, "first");
  m.node("LeakyRelu", {"a"}, {"b"}, "follows");
  m.node("Conv", {"x", "w5"}, {"c"}, "second");
  m.output("b");
  const std::string said = refusal(m);
  INFO(said);
  CHECK(said.starts_with("m.onnx: 2 nodes can't be used:\n  node 'first' (Conv): "));
  CHECK(said.find("\n  node 'second' (Conv): ") != said.npos);
  CHECK(said.find("follows") == said.npos);
}

TEST_CASE("initializers whose data does not fit their shape") {
  ModelMaker few = small_model();
  few.model.mutable_graph()->mutable_initializer(0)->mutable_float_data()->RemoveLast();
  CHECK_REFUSED(few, "'w'");

  ModelMaker huge = small_model();
  auto* w = huge.model.mutable_graph()->mutable_initializer(0);
  w->clear_float_data();
  w->clear_dims();
  for (int i = 0; i < 4; ++i) w->add_dims(int64_t{1} << 40);
  CHECK_REFUSED(huge, "m.onnx: ");
  w->clear_dims();
  w->add_dims(int64_t{1} << 32);
  w->set_raw_data("abcd");
  CHECK_REFUSED(huge, "'w'");

  ModelMaker negative = small_model();
  negative.model.mutable_graph()->mutable_initializer(0)->set_dims(0, -4);
  CHECK_REFUSED(negative, "m.onnx: ");

  ModelMaker image = small_model();
  image.model.mutable_graph()->mutable_input()->Clear();
  image.input("x", {1, 3, int64_t{1} << 40, 8});
  CHECK_REFUSED(image, "input 'x': extent 1099511627776 is absurd");
}

TEST_CASE("external data stays in the model's folder") {
  const Folder folder;
  const std::string weights(48, '\0');
  folder.write("model/w.bin", "0123" + weights);
  folder.write("outside.bin", weights);
  fs::create_symlink(folder.path / "outside.bin", folder.path / "model/link.bin");

  const auto model = [&](const std::string& location, const std::string& offset, const std::string& length) {
    ModelMaker m = small_model();
    auto* w = m.model.mutable_graph()->mutable_initializer(0);
    w->clear_float_data();
    w->set_data_location(Proto::EXTERNAL);
    for (const auto& [key, value] : {std::pair{"location", location}, {"offset", offset}, {"length", length}}) {
      if (value.empty()) continue;
      auto* entry = w->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    return m;
  };
  const auto outcome = [&](const std::string& location, const std::string& offset, const std::string& length) {
    folder.write("model/net.onnx", model(location, offset, length).bytes());
    try {
      import_onnx(folder.path / "model/net.onnx", op_table(), {.height = 4, .width = 4});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(outcome("w.bin", "4", "48") == "accepted");
  CHECK(outcome("w.bin", "4", "") == "accepted");
  CHECK(outcome("./w.bin", "0", "48") == "accepted");
  CHECK(outcome("../outside.bin", "", "").find("outside of the model's folder") != std::string::npos);
  CHECK(outcome((folder.path / "outside.bin").string(), "", "").find("outside of the model's") != std::string::npos);
  CHECK(outcome("link.bin", "", "").find("outside of the model's folder") != std::string::npos);
  CHECK(outcome("", "", "").find("outside of the model's folder") != std::string::npos);
  CHECK(outcome("none.bin", "", "").find("can't be read") != std::string::npos);
  CHECK(outcome("w.bin", "8", "48").find("has 52 bytes, the model reads 48 from byte 8") != std::string::npos);
  CHECK(outcome("w.bin", "18446744073709551615", "48").find("has 52 bytes") != std::string::npos);
  CHECK(outcome("w.bin", "-1", "48").find("offset '-1'") != std::string::npos);
  CHECK(outcome("w.bin", "0", "47").find("needs 48 bytes, the file has 47") != std::string::npos);
  CHECK_REFUSED(model("w.bin", "4", "48"), "initializer 'w': is stored in another file");
}

}  // namespace
}  // namespace hourglass::test
