// Files that must be refused, and what is said about them.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

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
// Of a model whose outputs are, besides those that it has, all values that no node reads.
ModelMaker with_outputs(ModelMaker m) {
  std::set<std::string> read;
  for (const auto& output : m.model.graph().output()) read.insert(output.name());
  for (const auto& node : m.model.graph().node()) read.insert(node.input().begin(), node.input().end());
  for (const auto& node : m.model.graph().node()) {
    for (const std::string& name : node.output()) {
      if (read.insert(name).second) m.output(name);
    }
  }
  return m;
}
std::string refusal(const ModelMaker& m) { return refusal(with_outputs(m).bytes()); }

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

TEST_CASE("names that are missing, too late, or given twice") {
  ModelMaker dangling = small_model();
  dangling.model.mutable_graph()->mutable_node(1)->set_input(0, std::string("nowhere"));
  CHECK_REFUSED(dangling, "node 'act' (LeakyRelu) reads 'nowhere', which nothing in the file gives");

  ModelMaker cycle = small_model();
  cycle.model.mutable_graph()->mutable_node(0)->set_input(0, std::string("y"));
  CHECK_REFUSED(cycle, "node 'conv' (Conv) reads 'y', which no node before it computes: the graph has a cycle");
  ModelMaker itself = small_model();
  itself.model.mutable_graph()->mutable_node(1)->set_input(0, std::string("y"));
  CHECK_REFUSED(itself, "node 'act' (LeakyRelu) reads 'y', which no node before it computes");

  ModelMaker twice = small_model();
  twice.model.mutable_graph()->mutable_node(1)->set_output(0, std::string("h"));
  CHECK_REFUSED(twice, "node 'act' (LeakyRelu) computes 'h', a name that is taken already");
  for (const char* taken : {"x", "w"}) {
    ModelMaker over = small_model();
    over.model.mutable_graph()->mutable_node(0)->set_output(0, std::string(taken));
    CHECK_REFUSED(over, "a name that is taken already");
  }
  ModelMaker inputs = small_model();
  inputs.input("x", {1, 3, -1, -1});
  CHECK_REFUSED(inputs, "two inputs are called 'x'");
  ModelMaker initializers = small_model();
  initializers.floats("w", {4, 3, 1, 1});
  CHECK_REFUSED(initializers, "two initializers are called 'w'");

  ModelMaker sparse = small_model();
  auto* const values = sparse.model.mutable_graph()->add_sparse_initializer()->mutable_values();
  values->set_name("s");
  CHECK_REFUSED(sparse, "initializer 's' is a sparse tensor: write it as a dense one");

  ModelMaker output = small_model();
  output.output("z");
  CHECK_REFUSED(output, "output 'z' is not computed by any node");

  // Names of nodes are for messages: they are made unique.
  ModelMaker nodes = small_model();
  nodes.model.mutable_graph()->mutable_node(1)->set_name("conv");
  CHECK(refusal(nodes) == "accepted");
}

TEST_CASE("attributes that the op does not have, or not so") {
  ModelMaker unknown = small_model();
  ModelMaker::attr(*unknown.model.mutable_graph()->mutable_node(1), "slope", 1.0F);
  CHECK_REFUSED(unknown, "node 'act' (LeakyRelu): attribute 'slope' is not supported");

  ModelMaker type = small_model();
  auto* alpha = type.model.mutable_graph()->mutable_node(1)->mutable_attribute(0);
  alpha->set_type(onnx::AttributeProto::INT);
  alpha->clear_f();
  alpha->set_i(1);
  CHECK_REFUSED(type, "ONNX's checker refuses it: ");
  CHECK_REFUSED(type, "alpha");
}

TEST_CASE("opsets that the installed ONNX does not know are read all the same, and checked here") {
  constexpr int kNewest = 24;
  const auto newest = [&](ModelMaker m) {
    m.model.mutable_opset_import(0)->set_version(kNewest);
    return m;
  };
  CHECK(refusal(newest(small_model())) == "accepted");
  ModelMaker cycle = small_model();
  cycle.model.mutable_graph()->mutable_node(0)->set_input(0, std::string("y"));
  CHECK_REFUSED(newest(cycle), "cycle");
  ModelMaker attribute = small_model();
  ModelMaker::attr(*attribute.model.mutable_graph()->mutable_node(1), "slope", 1.0f);
  CHECK_REFUSED(newest(attribute), "slope");
  ModelMaker unknown = small_model();
  unknown.node("Foo", {"y"}, {"z"}, "foo");
  CHECK_REFUSED(newest(unknown), "node 'foo' (Foo): the op is not supported");
  ModelMaker bare = small_model();
  bare.node("Conv", {"y"}, {"z"}, "bare");
  CHECK_REFUSED(newest(bare), "bare");
}

TEST_CASE("subgraphs, however deep") {
  // If in If in If, each with one node in either branch.
  const auto nested = [](int depth) {
    ModelMaker m = small_model();
    m.floats("yes", {1});
    auto* node = &m.node("If", {"yes"}, {"z"}, "outer");
    for (int i = 0; i < depth; ++i) {
      onnx::GraphProto* inner = nullptr;
      for (const char* name : {"then_branch", "else_branch"}) {
        auto* attr = node->add_attribute();
        attr->set_name(name);
        attr->set_type(onnx::AttributeProto::GRAPH);
        attr->mutable_g()->set_name(std::string("branch"));
        attr->mutable_g()->add_output()->set_name(std::string("z"));
        inner = attr->mutable_g();
      }
      node = inner->add_node();
      node->set_op_type(std::string("If"));
      node->add_input(std::string("yes"));
      node->add_output(std::string("z"));
    }
    return m;
  };
  CHECK_REFUSED(nested(1), "");
  CHECK_REFUSED(nested(20), "");
  CHECK_REFUSED(nested(1000), "nests subgraphs too deeply");

  // A function of the file's own that calls itself.
  ModelMaker m = small_model();
  auto* import = m.model.add_opset_import();
  import->set_domain(std::string("mine"));
  import->set_version(1);
  m.model.set_ir_version(8);
  auto* function = m.model.add_functions();
  function->set_name(std::string("Self"));
  function->set_domain(std::string("mine"));
  function->add_input(std::string("a"));
  function->add_output(std::string("b"));
  *function->add_opset_import() = *import;
  auto* call = function->add_node();
  call->set_op_type(std::string("Self"));
  call->set_domain(std::string("mine"));
  call->add_input(std::string("a"));
  call->add_output(std::string("b"));
  auto& node = m.node("Self", {"y"}, {"z"}, "call");
  node.set_domain(std::string("mine"));
  m.output("z");
  CHECK_REFUSED(m, "function 'Self' calls itself");
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
  m.node("LeakyReluGrad", {"y", "y"}, {"grad"}, "fifth");
  CHECK(refusal(m) ==
        "m.onnx: 4 of 7 nodes are not supported:\n"
        "  node 'first' (Foo): the op is not supported\n"
        "  node 'second' (NonMaxSuppression): the op is not supported\n"
        "  node 'third' (Attention): domain 'com.microsoft' is not known\n"
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

TEST_CASE("terabytes are refused before they are asked for") {
  constexpr int64_t kTera = int64_t{1} << 40;
  ModelMaker constant = small_model();
  auto* value = constant.node("Constant", {}, {"c"}, "huge").add_attribute();
  value->set_name("value");
  value->set_type(onnx::AttributeProto::TENSOR);
  value->mutable_t()->set_data_type(Proto::FLOAT);
  value->mutable_t()->add_dims(kTera);
  CHECK_REFUSED(constant, "node 'huge' (Constant): attribute 'value': shape 1099511627776 is too large");
  value->mutable_t()->set_raw_data("abcd");
  CHECK_REFUSED(constant, "node 'huge' (Constant): attribute 'value': shape 1099511627776 is too large");

  ModelMaker filled = small_model();
  filled.ints("shape", {kTera});
  filled.node("ConstantOfShape", {"shape"}, {"c"}, "huge");
  filled.node("Add", {"y", "c"}, {"z"});
  filled.output("z");
  CHECK_REFUSED(filled, "node 'huge' (ConstantOfShape): makes 1099511627776, more than");

  ModelMaker range = small_model();
  for (const auto& [name, number] : {std::pair{"start", int64_t{0}}, {"limit", kTera}, {"delta", int64_t{1}}}) {
    range.ints(name, {number}).clear_dims();
  }
  range.node("Range", {"start", "limit", "delta"}, {"c"}, "huge");
  range.node("Cast", {"c"}, {"f"}).add_attribute();
  range.model.mutable_graph()->mutable_node(3)->clear_attribute();
  ModelMaker::attr(*range.model.mutable_graph()->mutable_node(3), "to", int64_t{Proto::FLOAT});
  range.node("Add", {"y", "f"}, {"z"});
  range.output("z");
  CHECK_REFUSED(range, "node 'huge' (Range): ");

  for (const char* op : {"RandomUniform", "RandomNormal"}) {
    ModelMaker random = small_model();
    ModelMaker::attr(random.node(op, {}, {"c"}, "huge"), "shape", std::vector<int64_t>{kTera});
    random.node("Add", {"y", "c"}, {"z"});
    random.output("z");
    CHECK_REFUSED(random, "draws a parameter of shape 1099511627776: one may have up to");
  }
  // Each of them bearable.
  ModelMaker many = small_model();
  for (int i = 0; i < 9; ++i) {
    ModelMaker::attr(many.node("RandomUniform", {}, {fmt::format("c{}", i)}), "shape", std::vector<int64_t>{1 << 26});
  }
  CHECK_REFUSED(many, "all together");

  // Not a constant, so not computed at once.
  ModelMaker tiled = small_model();
  tiled.ints("repeats", {1, 1, 1 << 20, 1 << 20});
  tiled.node("Tile", {"y", "repeats"}, {"z"}, "huge");
  tiled.output("z");
  CHECK_REFUSED(tiled, "node 'huge' (Tile): makes ");

  // A composition.
  ModelMaker outer = small_model();
  outer.floats("v", {1 << 15});
  outer.node("Einsum", {"y", "v", "v"}, {"e"}, "huge");
  ModelMaker::attr(*outer.model.mutable_graph()->mutable_node(2), "equation", std::string("abcd,e,f->abcdef"));
  outer.ints("axes", {4, 5});
  ModelMaker::attr(outer.node("ReduceSum", {"e", "axes"}, {"z"}), "keepdims", int64_t{0});
  outer.output("z");
  CHECK_REFUSED(outer, "node 'huge' (Einsum): makes 1x4x8x8x32768x32768, more than");

  // Constants that an op needs for itself: what lies outside of the image, and scales that are all 1.
  ModelMaker cropped = small_model();
  cropped.floats("roi", {8});
  cropped.ints("sizes", {1, 4, 1 << 15, 1 << 15});
  auto& resize = cropped.node("Resize", {"y", "roi", "", "sizes"}, {"z"}, "huge");
  ModelMaker::attr(resize, "coordinate_transformation_mode", std::string("tf_crop_and_resize"));
  ModelMaker::attr(resize, "extrapolation_value", 1.0F);
  cropped.output("z");
  CHECK_REFUSED(cropped, "node 'huge' (Resize): needs a constant of 1x1x32768x32768, more than");
  // At once, however long one side is.
  ModelMaker long_side = small_model();
  long_side.floats("roi", {8});
  long_side.ints("sizes", {1, 4, 1, int64_t{1} << 40});
  auto& longer = long_side.node("Resize", {"y", "roi", "", "sizes"}, {"z"}, "huge");
  ModelMaker::attr(longer, "coordinate_transformation_mode", std::string("tf_crop_and_resize"));
  ModelMaker::attr(longer, "extrapolation_value", 1.0F);
  long_side.output("z");
  CHECK_REFUSED(long_side, "node 'huge' (Resize): needs a constant of 1x1x1x1099511627776, more than");
  ModelMaker normalized = small_model();
  normalized.model.mutable_opset_import(0)->set_version(17);
  normalized.ints("repeats", {1, 1, 1 << 12, 1 << 12});
  normalized.floats("one", {1});
  normalized.node("Tile", {"y", "repeats"}, {"tiled"});
  normalized.ints("last", {4});
  normalized.node("Unsqueeze", {"tiled", "last"}, {"apart"});
  normalized.node("LayerNormalization", {"apart", "one"}, {"z"}, "huge");
  normalized.output("z");
  CHECK_REFUSED(normalized, "node 'huge' (LayerNormalization): needs a constant of ");

  // Small constants that grow step by step: in depth, and in number.
  ModelMaker doubled = small_model();
  doubled.floats("c0", {1024});
  doubled.ints("two", {2});
  for (int i = 0; i < 40; ++i) {
    doubled.node("Tile", {fmt::format("c{}", i), "two"}, {fmt::format("c{}", i + 1)});
  }
  doubled.node("Add", {"y", "c40"}, {"z"});
  doubled.output("z");
  CHECK_REFUSED(doubled, "m.onnx: ");
}

TEST_CASE("more nodes than any network has") {
  ModelMaker m = small_model();
  std::string last = "y";
  for (int i = 0; i < 100'000; ++i) {
    std::string next = fmt::format("v{}", i);
    m.node("Relu", {last}, {next});
    last = std::move(next);
  }
  m.output(last);
  CHECK_REFUSED(m, "has 100002 nodes, a network may have up to 100000");
}

TEST_CASE("dimensions that are negative or nothing") {
  const auto weights = [](const std::vector<int64_t>& dims) {
    ModelMaker m = small_model();
    auto* w = m.model.mutable_graph()->mutable_initializer(0);
    w->clear_float_data();
    w->clear_dims();
    for (const int64_t dim : dims) w->add_dims(dim);
    return m;
  };
  CHECK_REFUSED(weights({-4, 3, 1, 1}), "negative");
  CHECK_REFUSED(weights({-4, -3, 1, 1}), "negative");
  CHECK_REFUSED(weights({0, 3, 1, 1}), "m.onnx: ");
  CHECK_REFUSED(weights({4, 3, 0, 0}), "m.onnx: ");
  ModelMaker random = small_model();
  ModelMaker::attr(random.node("RandomUniform", {}, {"c"}, "drawn"), "shape", std::vector<int64_t>{-1, 8});
  CHECK_REFUSED(random, "node 'drawn' (RandomUniform): shape has a negative extent -1");
  ModelMaker filled = small_model();
  filled.ints("shape", {-8});
  filled.node("ConstantOfShape", {"shape"}, {"c"}, "filled");
  CHECK_REFUSED(filled, "node 'filled' (ConstantOfShape): ");
  for (const char* name : {"strides", "dilations", "kernel_shape"}) {
    CAPTURE(name);
    ModelMaker m = small_model();
    m.floats("k", {4, 4, 3, 3});
    ModelMaker::attr(m.node("Conv", {"y", "k"}, {"z"}, "negative"), name, std::vector<int64_t>{-1, -1});
    m.output("z");
    CHECK_REFUSED(m, "negative");
  }
  ModelMaker image = small_model();
  image.model.mutable_graph()->mutable_input()->Clear();
  image.input("x", {1, 0, 8, 8});
  CHECK_REFUSED(image, "m.onnx: ");
}

TEST_CASE("an examination says of every node what came of it") {
  ModelMaker m = small_model();
  m.node("NonMaxSuppression", {"y", "y"}, {"nms"}, "unknown");
  m.node("Shape", {"x"}, {"shape"}, "size");
  m.node("Expand", {"y", "shape"}, {"wide"}, "mismatch");  // 3 channels against 4
  m.node("LeakyRelu", {"wide"}, {"behind"}, "behind");
  ModelMaker::attr(m.node("Cast", {"y"}, {"bytes"}), "to", int64_t{Proto::UINT8});
  m.floats("step", {}).set_float_data(0, 0.5F);
  m.node("DequantizeLinear", {"bytes", "step"}, {"mask"}, "mask");
  m.node("Add", {"mask", "h"}, {"z"}, "choice");
  m.output("z");
  const Examination e =
      OnnxFile::parse(with_outputs(m).bytes(), "m.onnx").examine(op_table(), {.height = 8, .width = 6});
  REQUIRE(e.nodes.size() == 9);
  CHECK(e.opset == 13);
  CHECK(e.problems.empty());
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
  CHECK(fine.problems.empty());
  const Examination sizeless = OnnxFile::parse(small_model().bytes(), "m.onnx").examine(op_table());
  REQUIRE(sizeless.problems.size() == 1);
  CHECK(sizeless.problems[0].find("leaves the height") != std::string::npos);
}

TEST_CASE("an examination tells all that stands in the way") {
  const auto examine = [](const ModelMaker& m) {
    return OnnxFile::parse(m.bytes(), "m.onnx").examine(op_table(), {.height = 8, .width = 6});
  };
  const auto refused = [](const Examination& e) {
    std::vector<std::string> names;
    for (const NodeReport& node : e.nodes) {
      if (!node.problem.empty()) names.push_back(node.name);
    }
    return names;
  };
  // What only folds, of the image's content, in front of an op that is not known.
  ModelMaker m = small_model();
  m.model.mutable_graph()->mutable_output()->Clear();
  m.floats("slopes", {4, 1, 1});
  ModelMaker::attr(m.node("Cast", {"y"}, {"bytes"}), "to", int64_t{Proto::UINT8});
  m.floats("step", {});
  m.node("DequantizeLinear", {"bytes", "step"}, {"mask"}, "mask");
  m.node("Add", {"mask", "h"}, {"z"}, "sum");
  m.node("Foo", {"z"}, {"out"}, "foo");
  m.output("out");
  CHECK(refused(examine(m)) == std::vector<std::string>{"mask", "foo"});

  // The opset, the inputs and the nodes.
  m.model.mutable_opset_import(0)->set_version(99);
  m.input("level", {1, 1, -1, -1});
  const Examination all = examine(m);
  REQUIRE(all.problems.size() == 2);
  CHECK(all.problems[0].starts_with("declares opset 99, supported are 7 to "));
  CHECK(all.problems[1] == "has 2 inputs ('x', 'level'), expected one image");
  CHECK(all.opset == 99);
  CHECK(refused(all) == std::vector<std::string>{"mask", "foo"});
  CHECK(refusal(m).starts_with("m.onnx: declares opset 99"));
  CHECK_REFUSED(m, "node 'foo' (Foo): the op is not supported");

  // What an output behind a refused node is declared to be.
  REQUIRE(all.outputs.size() == 1);
  CHECK(all.outputs[0].name == "out");
  REQUIRE(all.outputs[0].shape.has_value());
  CHECK(open_shape(*all.outputs[0].shape) == "?x?x?x?");
  CHECK(open_shape(Shape{1, 3, 0, 0}) == "1x3x?x?");
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
  // A file that takes no space and is larger than memory; and one that is read many times.
  folder.write("model/sparse.bin", "");
  fs::resize_file(folder.path / "model/sparse.bin", uintmax_t{1} << 40);
  CHECK(outcome("sparse.bin", "", "").find("has 1099511627776 bytes of external data") != std::string::npos);
  ModelMaker often = model("sparse.bin", "0", std::to_string(1 << 30));
  for (const char* name : {"w2", "w3"}) {
    *often.model.mutable_graph()->add_initializer() = often.model.graph().initializer(0);
    often.model.mutable_graph()->mutable_initializer()->rbegin()->set_name(name);
  }
  folder.write("model/net.onnx", often.bytes());
  CHECK_THROWS_WITH_AS(OnnxFile::read(folder.path / "model/net.onnx"),
                       doctest::Contains("initializer 'w3': the model has more than 2048 MiB of external data"), Error);
  // Nobody writes into it: to wait for that would be for ever.
  REQUIRE(mkfifo((folder.path / "model/fifo").c_str(), 0600) == 0);
  CHECK(outcome("fifo", "", "").find("can't be read") != std::string::npos);

  // A Constant's data may lie outside of the file too.
  ModelMaker constant = small_model();
  auto& node = constant.node("Constant", {}, {"c"}, "away");
  auto* value = node.add_attribute();
  value->set_name("value");
  value->set_type(onnx::AttributeProto::TENSOR);
  *value->mutable_t() = model("../outside.bin", "", "").model.graph().initializer(0);
  constant.output("c");
  folder.write("model/net.onnx", constant.bytes());
  CHECK_THROWS_WITH_AS(OnnxFile::read(folder.path / "model/net.onnx"),
                       doctest::Contains("node 'away' (Constant): attribute 'value': external data lies in"), Error);
}

}  // namespace
TEST_CASE("weights that are no finite numbers are refused, and constants that are none") {
  const auto conv = [](float bad) {
    ModelMaker m;
    m.input("x", {1, 3, -1, -1});
    m.floats("w", {4, 3, 1, 1}).set_float_data(7, bad);
    m.node("Conv", {"x", "w"}, {"y"});
    return m;
  };
  const auto add = [](float bad) {
    ModelMaker m;
    m.input("x", {1, 3, -1, -1});
    ModelMaker::attr(m.node("Constant", {}, {"c"}), "value_float", bad);
    m.node("Max", {"x", "c"}, {"y"});
    return m;
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float nan = std::nanf("");
  CHECK_REFUSED(conv(nan), "weight 'w' holds nan as element 7, counted from 0: expected finite float32 numbers");
  CHECK_REFUSED(conv(kInfinity), "weight 'w' holds inf as element 7");
  CHECK_REFUSED(conv(-kInfinity), "weight 'w' holds -inf as element 7");
  CHECK(refusal(conv(1e-41F)) == "accepted");  // denormal
  CHECK(refusal(conv(3e38F)) == "accepted");
  CHECK_REFUSED(add(nan), "constant 'c' holds nan as element 0");
  CHECK(refusal(add(-kInfinity)) == "accepted");
  // As a degradation's, which is not trained.
  try {
    import_onnx(with_outputs(conv(nan)).bytes(), "m.onnx", op_table(), {.height = 8, .width = 8, .fixed = true});
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("weight 'w' holds nan") != std::string::npos);
  }
}

}  // namespace hourglass::test
