// --freeze, and what looks as if it should be named there.
#include "engine/cli/freeze_option.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/image/read_image.h"
#include "graph/error.h"
#include "ops/table.h"
#include "tests/cli/run.h"
#include "tests/graph/onnx_maker.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using cli::buffers_note;
using cli::freeze;
using cli::likely_buffers;
using Names = std::vector<std::string>;

// Parameters with values, and one that is drawn. A Conv of shape 1x1 reads `filter` and `shift`.
class Parameters {
 public:
  Graph graph;

  Parameters() {
    add("body.weight", {3, 3}, [](int64_t i) { return 0.1 * static_cast<double>(i); });
    add("body.norm", {8}, [](int64_t) { return 1.0; });
    add("layers.0/attn_mask", {4, 4}, [](int64_t i) { return i % 3 == 0 ? -100.0 : 0.0; });
    const ValueId filter = add("filter", {2, 2, 2, 1}, [](int64_t i) { return i % 4 == 0 ? 0.5 : 0.25; });
    const ValueId shift = add("shift", {2}, [](int64_t i) { return -0.4 - 0.01 * static_cast<double>(i); });
    add("body.weight_u", {5}, [](int64_t i) { return 0.1 * static_cast<double>(i); });
    add("few", {2, 1}, [](int64_t i) { return static_cast<double>(i); });
    add("bias", {6}, [](int64_t i) { return static_cast<double>(i % 2); });
    b_.parameter("drawn", {DType::f32, Shape{4}}, {.kind = Init::Kind::uniform, .low = 0, .high = 1});
    b_.add("Conv", {b_.input("x", {DType::f32, Shape{1, 2, 4, 4}}), filter, shift});
  }
  Names trained() const {
    Names names;
    for (const ValueId id : graph.parameters()) names.push_back(graph.value(id).name);
    return names;
  }

 private:
  template <typename Number>
  ValueId add(const std::string& name, const Shape& shape, const Number& number) {
    HostTensor tensor(DType::f32, shape);
    for (int64_t i = 0; i < shape.elements(); ++i) tensor.values[static_cast<std::size_t>(i)] = number(i);
    return b_.parameter(name, {DType::f32, shape}, {}, std::make_shared<const HostTensor>(std::move(tensor)));
  }
  GraphBuilder b_{graph, op_table()};
};

std::string refusal(const std::string& patterns) {
  Parameters p;
  try {
    freeze(p.graph, patterns);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("masks, fixed filters with their biases and spectral normalisation's vectors look like buffers") {
  const Parameters p;
  CHECK(likely_buffers(p.graph) == Names{"layers.0/attn_mask", "filter", "shift", "body.weight_u"});
  CHECK(buffers_note(p.graph) ==
        "4 parameters are trained though they look like buffers (masks, fixed filters), 31 numbers in all: "
        "layers.0/attn_mask, filter, shift, body.weight_u; --freeze keeps what it names as it is in the file");
  Parameters without;
  freeze(without.graph, "layers*,filter,shift,*_u");
  CHECK(likely_buffers(without.graph).empty());
  CHECK(buffers_note(without.graph).empty());
}

TEST_CASE("--freeze takes names and patterns") {
  Parameters one, some, none;
  CHECK(freeze(one.graph, "filter") == Names{"filter"});
  CHECK(one.graph.value(one.graph.find("filter")).kind == ValueKind::constant);
  CHECK(one.trained().size() == 8);
  CHECK(freeze(some.graph, "body.*,*mask,body.norm") ==
        Names{"body.weight", "body.norm", "body.weight_u", "layers.0/attn_mask"});
  CHECK(some.trained() == Names{"filter", "shift", "few", "bias", "drawn"});
  CHECK(freeze(none.graph, "").empty());
  CHECK(none.trained().size() == 9);
}

TEST_CASE("--freeze refuses what matches nothing, and what has no values") {
  CHECK(refusal("few,Filter") ==
        "--freeze Filter: no parameter is called so, those here are body.weight, body.norm, layers.0/attn_mask, filter "
        "and 5 more; 'hourglass model check' lists them");
  CHECK(refusal("dr*n") ==
        "--freeze dr*n: 'drawn' is drawn at random; only what has values in the file can be kept as it is");
}

TEST_CASE("model check names buffers, and they can be kept out of a fit") {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.floats("body.weight", {3, 3, 1, 1});
  auto& blur = m.empty("blur.weight", {3, 1, 1, 3}, onnx::TensorProto::FLOAT);
  for (int i = 0; i < 9; ++i) blur.add_float_data(i % 3 == 1 ? 0.5F : 0.25F);
  m.node("Conv", {"x", "body.weight"}, {"h"});
  auto& node = m.node("Conv", {"h", "blur.weight"}, {"smooth"});
  ModelMaker::attr(node, "group", int64_t{3});
  ModelMaker::attr(node, "pads", std::vector<int64_t>{0, 1, 0, 1});
  m.node("Sigmoid", {"smooth"}, {"y"});
  m.output("y");
  const TemporaryFolder folder;
  const std::string net = folder / "net.onnx", input = folder / "in.png";
  std::ofstream(net, std::ios::binary) << m.bytes();
  write_png(input, make_picture(16, 16, 3), {}, true);

  const Run found = run({"model", "check", net});
  CHECK_CONTAINS(found.out, "blur.weight  3x1x1x3  values in the file, looks like a buffer");
  CHECK_CONTAINS(found.out, "note: 1 parameter is trained though it looks like a buffer");
  const nlohmann::json frozen = nlohmann::json::parse(run({"model", "check", net, "--freeze", "blur.*", "--json"}).out);
  CHECK(frozen.at("trainable") == true);
  CHECK(frozen.at("frozen") == nlohmann::json({"blur.weight"}));
  CHECK(frozen.at("buffers").empty());
  CHECK(frozen.at("parameters").size() == 1);
  check_fails(run({"model", "check", net, "--freeze", "blurred"}), 1, "--freeze blurred: no parameter is called so");

  const auto restore = [&](const std::string& output, std::vector<std::string> more) {
    Names arguments{"restore", input, "-o", folder / output, "--model", net, "--iterations", "5", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  const Run all = restore("all.png", {}), body = restore("body.png", {"--freeze", "blur.*"});
  CHECK(all.exit_code == 0);
  CHECK(body.exit_code == 0);
  CHECK_CONTAINS(all.err, "looks like a buffer");
  CHECK(body.err.find("looks like a buffer") == std::string::npos);
  CHECK(read_image(folder / "all.png").image.pixels != read_image(folder / "body.png").image.pixels);
  const Run none = restore("none.png", {"--freeze", "*"});
  CHECK(none.exit_code == 1);
  CHECK_CONTAINS(none.err, "no parameters to train");
  // Also where the first canvases do not suit the network.
  check_fails(run({"restore", input, "-o", folder / "none.png", "--model", "small", "--freeze", "s0*"}), 1,
              "hourglass: small: --freeze s0*: 's0/");
  check_fails(restore("none.png", {"--freeze", "blurred"}), 1, "net.onnx: --freeze blurred: no parameter is called so");
}

}  // namespace hourglass::test
