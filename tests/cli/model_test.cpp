// hourglass model make | info | check | list.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "models/builtin.h"
#include "tests/cli/run.h"
#include "tests/graph/onnx_maker.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

std::string content(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

nlohmann::json info(const std::vector<std::string>& arguments) {
  std::vector<std::string> all{"model", "info", "--json", "--precision", "f32", "--threads", "1"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Run result = run(all);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

}  // namespace

TEST_CASE("model make writes the shipped files") {
  // The commands of models/README.md.
  const std::vector<std::pair<std::string, std::vector<std::string>>> commands{
      {"small", {"--channels", "8,16,32,64,128", "--skips", "0,0,0,4,4", "--depth", "3"}},
      {"medium", {"--channels", "32,32,32,32,32"}},
      {"standard", {}},
      {"unet", {"--kind", "unet"}},
      {"inpaint", {"--skips", "128,128,128,128,128", "--upsample", "nearest"}},
      {"inpaint-large",
       {"--channels", "16,32,64,128,128,128", "--skips", "0,0,0,0,0,0", "--depth", "1", "--filter-down", "5",
        "--no-extra-1x1", "--upsample", "nearest"}}};
  const TemporaryFolder folder;
  for (const auto& [name, options] : commands) {
    const auto& this_name = name;
    CAPTURE(this_name);
    const std::string path = folder / (name + ".onnx");
    std::vector<std::string> arguments{"model", "make", "-o", path};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Run result = run(arguments);
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
    CHECK(result.out.find(" parameters, ") != std::string::npos);
    const bool same = content(path) == builtin_file(name);
    CHECK(same);
  }
}

TEST_CASE("model make writes the shipped degradation") {
  const TemporaryFolder folder;
  const std::string path = folder / "blur.onnx";
  REQUIRE(run({"model", "make", "--kind", "blur", "-o", path}).exit_code == 0);
  const bool same = content(path) == content(std::string(HOURGLASS_MODELS) + "/blur.onnx");
  CHECK(same);
}

TEST_CASE("model make: every option has its effect") {
  const TemporaryFolder folder;
  const std::string plain = folder / "plain.onnx";
  const std::vector<std::string> base{"model", "make", "--channels", "4,8", "--skips", "2,0"};
  const auto make = [&](const std::vector<std::string>& options, const std::string& path) {
    std::vector<std::string> arguments = base;
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"-o", path});
    return run(arguments);
  };
  REQUIRE(make({}, plain).exit_code == 0);
  const std::vector<std::vector<std::string>> variations{
      {"--up-channels", "6,8"},    {"--depth", "5"},       {"--output-channels", "1"}, {"--upsample", "nearest"},
      {"--down", "average"},       {"--down", "max"},      {"--activation", "swish"},  {"--activation", "elu"},
      {"--padding", "zero"},       {"--no-extra-1x1"},     {"--no-sigmoid"},           {"--activation", "relu"},
      {"--filter-down", "5"},      {"--filter-skip", "3"}, {"--filter-up", "1"},       {"--down", "lanczos"},
      {"--upsample", "transposed"}};
  for (std::size_t i = 0; i < variations.size(); ++i) {
    CAPTURE(variations[i][0]);
    const std::string path = folder / (std::to_string(i) + ".onnx");
    REQUIRE(make(variations[i], path).exit_code == 0);
    const bool differs = content(path) != content(plain);
    CHECK(differs);
    CHECK(info({path, "--size", "64x64"}).at("output").at("shape").at(2) == 64);
  }
}

TEST_CASE("model make: the other kinds, with their options") {
  const TemporaryFolder folder;
  const std::vector<std::vector<std::string>> commands{
      {"--kind", "unet", "--channels", "4,6", "--upsample", "transposed", "--down", "lanczos"},
      {"--kind", "resnet", "--channels", "6", "--blocks", "2", "--padding", "zero", "--filter", "5"},
      {"--kind", "deep_decoder", "--channels", "6,8,4", "--upsample", "nearest"},
      {"--kind", "texture", "--channels", "3", "--scales", "3", "--activation", "elu"},
      {"--kind", "residual_unet", "--channels", "4,6", "--convolutions", "1"}};
  for (const auto& options : commands) {
    CAPTURE(options[1]);
    const std::string path = folder / (options[1] + ".onnx");
    std::vector<std::string> arguments{"model", "make", "-o", path};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Run made = run(arguments);
    CAPTURE(made.err);
    REQUIRE(made.exit_code == 0);
    const nlohmann::json json = info({path, "--size", "40x24"});
    CHECK(json.at("output").at("shape") == nlohmann::json({1, 3, 24, 40}));
    CHECK(json.at("parameters") > 0);
  }
  const Run wrong = run({"model", "make", "--kind", "resnet", "--skips", "4", "-o", folder / "x.onnx"});
  CHECK(wrong.exit_code == 1);
  check_fails(run({"model", "make", "--filter", "5", "-o", folder / "x.onnx"}), 1, "--filter has no meaning");
  CHECK(wrong.err.find("--skips has no meaning for --kind resnet") != std::string::npos);
}

TEST_CASE("model check: what can be trained, and by what") {
  const Run text = run({"model", "check", "small", "--size", "96x64", "--threads", "1"});
  CHECK(text.exit_code == 0);
  CHECK_CONTAINS(text.out, "size: height and width must be multiples of 32, and at least 64: padding is added");
  CHECK(text.out.find("s0/down1/conv.weight  8x3x3x3  uniform in [-0.1925, 0.1925)") != std::string::npos);
  CHECK(text.out.find("  Conv-11 ") != std::string::npos);
  CHECK(text.out.find("It can be trained here.") != std::string::npos);

  const Run result = run({"model", "check", "small", "--size", "96x64", "--precision", "f32", "--json"});
  const nlohmann::json json = nlohmann::json::parse(result.out);
  CHECK(json.at("trainable") == true);
  int trains = 0;
  for (const auto& node : json.at("nodes")) {
    CAPTURE(node.at("name"));
    CHECK(node.at("problem") == "");
    if (node.at("op") != "Conv") continue;
    CHECK(node.at("opset") == 11);
    CHECK(node.at("verdict") == "trains");
    CHECK_FALSE(node.at("backward").empty());
    CHECK(node.at("precision") == nlohmann::json({"f32"}));
    ++trains;
  }
  CHECK(trains == 4 * 5 + 2 + 1);
}

TEST_CASE("model check: all that can't be trained, with reasons and help") {
  ModelMaker m = small_model();
  m.node("NonMaxSuppression", {"y", "y"}, {"a"}, "boxes");
  m.node("QuantizeLinear", {"y", "w"}, {"b"}, "bits");
  m.output("a");
  m.output("b");
  const TemporaryFolder folder;
  const std::string path = folder / "net.onnx";
  std::ofstream(path, std::ios::binary) << m.bytes();
  const Run result = run({"model", "check", path});
  CHECK(result.exit_code == 1);
  for (const char* part :
       {"refused: node 'boxes' (NonMaxSuppression): the op is not supported",
        "'hourglass model check --ops' lists them", "refused: node 'bits' (QuantizeLinear): the op is not supported",
        "export the network from before its quantization",
        "refused: there are 3 outputs ('y' 1x4x512x512, 'a' ?x?x?x?, 'b' ?x?x?x?): say by --model-output NAME which",
        "It can't be trained here."}) {
    CAPTURE(part);
    CHECK(result.out.find(part) != std::string::npos);
  }
  const Run ops = run({"model", "check", "--ops"});
  CHECK(ops.exit_code == 0);
  CHECK(ops.out.find("\nConvTranspose ") != std::string::npos);
  CHECK_CONTAINS(ops.out, "\nRandomUniform ");
  CHECK(ops.out.find("ConvGradSrc") == std::string::npos);
  const Run degradation = run({"model", "check", HOURGLASS_MODELS "/blur.onnx"});
  CHECK(degradation.exit_code == 1);
  CHECK_CONTAINS(degradation.out, "restore MEASUREMENT --degradation");
}

TEST_CASE("model check: what is wrong with the model as a whole, in its user's terms") {
  const TemporaryFolder folder;
  const std::string path = folder / "net.onnx";
  const auto check = [&](const ModelMaker& m, const std::vector<std::string>& options = {}) {
    std::ofstream(path, std::ios::binary) << m.bytes();
    std::vector<std::string> arguments{"model", "check", path, "--threads", "1"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(arguments);
  };
  // Networks of one convolution.
  const auto network = [](const std::vector<int64_t>& input, int64_t outputs, int64_t stride = 1, int opset = 13) {
    ModelMaker m(opset);
    m.input("x", input);
    m.floats("w", {outputs, input[1] > 0 ? input[1] : 3, 3, 3});
    auto& node = m.node("Conv", {"x", "w"}, {"y"});
    ModelMaker::attr(node, "strides", std::vector<int64_t>{stride, stride});
    ModelMaker::attr(node, "pads", std::vector<int64_t>{1, 1, 1, 1});
    m.output("y");
    return m;
  };
  const auto refused = [&](const ModelMaker& m, const std::string& text) {
    const Run result = check(m);
    CHECK(result.exit_code == 1);
    CHECK_CONTAINS(result.out, "refused: " + text);
    CHECK_CONTAINS(result.out, "It can't be trained here.");
    return result;
  };
  refused(network({1, 3, -1, -1}, 4),
          "output 'y' has shape 1x4x512x512: 4 channels, expected an image [1, 1 or 3 channels, height, width]");
  refused(network({1, 3, -1, -1}, 3, 2),
          "no canvas suits this network for an image of 512x512: the network makes 256x256");
  refused(network({1, -1, -1, 3}, 3), "input 'x' has shape 1x?x?x3: its channels are last (NHWC");
  refused(network({2, 3, -1, -1}, 3), "input 'x' is a batch of 2, expected 1");
  for (const char* op : {"Identity", "Cast"}) {  // of nothing
    ModelMaker m = network({1, 3, -1, -1}, 3);
    ModelMaker::attr(m.node(op, {""}, {"z"}), "to", int64_t{1});
    CHECK(check(m).exit_code == 0);  // nothing depends on it
  }
  // An extent that is left open is not taken for 1, nor an input that says nothing for a scalar.
  ModelMaker open = network({1, 3, -1, -1}, 3);
  open.model.mutable_graph()->mutable_input()->Clear();
  open.input("x", {3, -1, -1});
  const Run ranked = refused(open, "input 'x' has shape 3x?x?, expected an image");
  CHECK(ranked.out.find("3x1x1") == std::string::npos);
  open.model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  const Run unranked = refused(open, "input 'x' has shape unknown, expected an image");
  CHECK(unranked.out.find("scalar") == std::string::npos);
  ModelMaker whole = network({1, 3, -1, -1}, 3);
  ModelMaker::attr(whole.node("Cast", {"y"}, {"z"}), "to", int64_t{onnx::TensorProto::INT64});
  whole.model.mutable_graph()->mutable_output(0)->set_name("z");
  refused(whole, "the network's output is i64, expected float: put a Cast to float behind it");
  ModelMaker flat = network({1, 3, -1, -1}, 3);
  flat.ints("shape", {-1});
  flat.node("Reshape", {"y", "shape"}, {"z"});
  flat.model.mutable_graph()->mutable_output(0)->set_name("z");
  refused(flat, "output 'z' has shape 786432, expected an image");
  // All at once: the opset, an input too many, an op, and the output behind it.
  ModelMaker all = network({1, 3, -1, -1}, 3, 1, 99);
  all.input("level", {1, 1, -1, -1});
  all.node("Foo", {"y"}, {"z"}, "foo");
  all.model.mutable_graph()->mutable_output(0)->set_name("z");
  const Run result = refused(all, "declares opset 99, supported are 7 to ");
  CHECK_CONTAINS(result.out, "refused: has 2 inputs ('x', 'level'), expected one image");
  CHECK_CONTAINS(result.out, "refused: node 'foo' (Foo): the op is not supported");

  // What is not refused, and how large images may be.
  const auto accepted = [&](const ModelMaker& m, const std::string& text,
                            const std::vector<std::string>& options = {}) {
    const Run result = check(m, options);
    CHECK(result.exit_code == 0);
    CHECK_CONTAINS(result.out, text);
  };
  accepted(network({1, 3, -1, -1}, 1), "note: it makes one channel: gray images can be fitted with it, colour can't");
  // An island of double precision.
  ModelMaker island = network({1, 3, -1, -1}, 3);
  ModelMaker::attr(island.node("Cast", {"y"}, {"wide"}), "to", int64_t{onnx::TensorProto::DOUBLE});
  island.empty("half", {}, onnx::TensorProto::DOUBLE).add_double_data(0.5);
  island.node("Mul", {"wide", "half"}, {"scaled"});
  ModelMaker::attr(island.node("Cast", {"scaled"}, {"z"}), "to", int64_t{onnx::TensorProto::FLOAT});
  island.model.mutable_graph()->mutable_output(0)->set_name("z");
  accepted(island, "note: what the file computes in double precision runs in f32 here");
  // What a constant fixes: the sizes that it suits, and why no others.
  ModelMaker limited = network({1, 3, -1, -1}, 3);
  limited.floats("position", {1, 3, 224, 224});
  limited.node("Add", {"y", "position"}, {"z"}, "positioned");
  limited.model.mutable_graph()->mutable_output(0)->set_name("z");
  accepted(limited,
           "size: images of 224x224, and not every larger one: no canvas suits this network for an image of 512");
  accepted(limited, "node 'positioned' (Add): shapes 1x3x512x512 and 1x3x224x224 do not broadcast");
  const Run elsewhere = check(limited, {"--size", "60x50"});
  CHECK(elsewhere.exit_code == 1);
  accepted(network({1, 3, 48, 40}, 3), "size: images up to 40x48, as the file fixes its input to 40x48");
  ModelMaker larger = network({1, 3, -1, -1}, 12);
  ModelMaker::attr(larger.node("DepthToSpace", {"y"}, {"z"}), "blocksize", int64_t{2});
  larger.model.mutable_graph()->mutable_output(0)->set_name("z");
  accepted(larger, "size: any height and width: the input is chosen so that the output, here 162x130 of 81x65, covers");
  ModelMaker fixed = network({1, 3, 24, 24}, 27);
  ModelMaker::attr(fixed.node("DepthToSpace", {"y"}, {"z"}), "blocksize", int64_t{3});
  fixed.model.mutable_graph()->mutable_output(0)->set_name("z");
  accepted(fixed, "size: images up to 72x72, as the file fixes its input to 24x24");
  const Run too_large = check(fixed, {"--size", "73x72"});
  CHECK(too_large.exit_code == 1);
  CHECK_CONTAINS(too_large.out,
                 "refused: the file fixes its input to 24x24, of which it makes 72x72, and the image has 73x72");
  ModelMaker several = network({1, 3, -1, -1}, 3);
  several.node("Sigmoid", {"y"}, {"z"});
  several.output("z");
  refused(several, "there are 2 outputs ('y' 1x3x512x512, 'z' 1x3x512x512): say by --model-output NAME which one");
  accepted(several, "It can be trained here.", {"--model-output", "z"});
  CHECK(check(several, {"--model-output", "q"}).exit_code == 1);
  CHECK_CONTAINS(check(several, {"--model-output", "q"}).out, "has no output 'q', those that it has are 'y', 'z'");
  // Every command takes it.
  const std::string image = folder / "in.png", output = folder / "out.png";
  write_png(image, make_picture(16, 16, 3), {}, true);
  const std::vector<std::string> fit{"restore", image,       "-o", output,    "--iterations",
                                     "1",       "--threads", "1",  "--model", path};
  check_fails(run(fit), 1, "has 2 outputs, 'y', 'z': say by --model-output NAME which one is the image");
  std::vector<std::string> chosen = fit;
  chosen.insert(chosen.end(), {"--model-output", "z"});
  CHECK(run(chosen).exit_code == 0);
  CHECK(info({path, "--model-output", "y"}).at("output").at("name") == "y");
  CHECK(run({"bench", "iteration", "--model", path, "--model-output", "y", "--size", "16x16", "--iterations", "1"})
            .exit_code == 0);
  check_fails(run({"model", "info", "small", "--model-output", "y"}), 1, "belongs to an ONNX file");
}

TEST_CASE("model check: one run tells all, also what is behind a refused node") {
  const TemporaryFolder folder;
  const std::string path = folder / "net.onnx";
  // An op that is not supported; behind it, shapes that do not fit; behind these, an op without a gradient; an element
  // type without kernels; and an output of a third of the size.
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.floats("w", {4, 3, 1, 1});
  m.floats("wrong", {4, 5, 1, 1});
  m.floats("last", {3, 4, 1, 1});
  m.node("Conv", {"x", "w"}, {"a"}, "first");
  ModelMaker::attr(m.node("Hardmax", {"a"}, {"b"}, "unknown"), "axis", int64_t{1});
  m.node("Conv", {"b", "wrong"}, {"c"}, "mismatch");
  ModelMaker::attr(m.node("ReduceProd", {"c"}, {"d"}, "product"), "axes", std::vector<int64_t>{1});
  m.node("Add", {"d", "b"}, {"e"}, "sum");
  ModelMaker::attr(m.node("Cast", {"e"}, {"wide"}, "widened"), "to", int64_t{onnx::TensorProto::UINT8});
  m.ints("shift", {0, 0, 1, 1, 0, 0, 0, 0});
  m.node("Pad", {"wide", "shift"}, {"padded"}, "padded");
  ModelMaker::attr(m.node("Cast", {"padded"}, {"f"}, "back"), "to", int64_t{onnx::TensorProto::FLOAT});
  auto& last = m.node("Conv", {"f", "last"}, {"y"}, "last");
  ModelMaker::attr(last, "strides", std::vector<int64_t>{3, 3});
  m.output("y");
  std::ofstream(path, std::ios::binary) << m.bytes();
  const Run result = run({"model", "check", path, "--size", "128x128", "--threads", "1", "--precision", "f32"});
  CHECK(result.exit_code == 1);
  for (const char* part :
       {"refused: node 'unknown' (Hardmax): the op is not supported",
        "refused: node 'mismatch' (Conv): src 1x4x128x128 has 4 channels, weights 4x5x1x1 in 1 group(s) expect 5",
        "refused: node 'product' (ReduceProd): a product is meant for shapes",
        "refused: node 'padded' (Pad): no kernel computes this with u8 elements: insert a Cast to float",
        "refused: output 'y' is 43x43 for an input of 128x128: it must have the input's size, or a multiple of it"}) {
    CAPTURE(result.out);
    CHECK_CONTAINS(result.out, part);
  }
  CHECK(result.out.find("'first'") == std::string::npos);
  CHECK(result.out.find("'last'") == std::string::npos);

  // Also of what has nothing to train, such as a degradation.
  ModelMaker untrained;
  untrained.input("x", {1, 3, -1, -1});
  ModelMaker::attr(untrained.node("Cast", {"x"}, {"wide"}, "widened"), "to", int64_t{onnx::TensorProto::UINT8});
  untrained.ints("shift", {0, 0, 1, 1, 0, 0, 0, 0});
  untrained.node("Pad", {"wide", "shift"}, {"padded"}, "padded");
  ModelMaker::attr(untrained.node("Cast", {"padded"}, {"f"}, "back"), "to", int64_t{onnx::TensorProto::FLOAT});
  untrained.node("Foo", {"f"}, {"g"}, "foo");
  untrained.node("Relu", {"f"}, {"y"});
  untrained.output("y");
  untrained.output("g");
  std::ofstream(path, std::ios::binary) << untrained.bytes();
  const Run both = run({"model", "check", path, "--size", "128x128", "--threads", "1", "--precision", "f32"});
  CAPTURE(both.out);
  CHECK(both.exit_code == 1);
  CHECK_CONTAINS(both.out, "refused: node 'foo' (Foo): the op is not supported");
  CHECK_CONTAINS(both.out, "refused: node 'padded' (Pad): no kernel computes this with u8 elements");
}

TEST_CASE("model check and restore agree") {
  const TemporaryFolder folder;
  const std::string colour = folder / "colour.png", gray = folder / "gray.png", output = folder / "out.png";
  // No larger than what the files of tests/data fix.
  write_png(colour, make_picture(28, 36, 3), {}, true);
  write_png(gray, make_picture(28, 36, 1), {}, true);
  std::vector<std::string> files;
  for (const std::string& data : {data_path("../onnx"), data_path("../pytorch"), std::string(HOURGLASS_MODELS)}) {
    for (const auto& entry : std::filesystem::directory_iterator(data)) {
      if (entry.path().extension() == ".onnx") files.push_back(entry.path());
    }
  }
  int made = 0;
  const auto add = [&](const ModelMaker& m) {
    files.push_back(folder / ("made" + std::to_string(++made) + ".onnx"));
    std::ofstream(files.back(), std::ios::binary) << m.bytes();
  };
  // Outputs of 1 to 4 channels, of any size and of a fixed one, larger, smaller, in order and not.
  for (const int64_t channels : {1, 2, 3, 4}) {
    for (const int64_t side : {-1, 24, 40}) {
      ModelMaker m;
      m.input("x", {1, 2, side, side});
      m.floats("w", {channels, 2, 1, 1});
      m.node("Conv", {"x", "w"}, {"y"});
      m.output("y");
      add(m);
      ModelMaker::attr(m.node("Resize", {"y", "", "scales"}, {"z"}), "mode", std::string("nearest"));
      auto& scales = m.empty("scales", {4}, onnx::TensorProto::FLOAT);
      for (const float scale : {1.0F, 1.0F, 2.0F, 2.0F}) scales.add_float_data(scale);
      m.model.mutable_graph()->mutable_output(0)->set_name("z");
      add(m);
      ModelMaker::attr(m.node("Transpose", {"z"}, {"t"}), "perm", std::vector<int64_t>{0, 2, 3, 1});
      m.model.mutable_graph()->mutable_output(0)->set_name("t");
      add(m);
    }
  }
  ModelMaker untrained;
  untrained.input("x", {1, 3, -1, -1});
  untrained.node("Relu", {"x"}, {"y"});
  untrained.output("y");
  add(untrained);
  ModelMaker integers = small_model();
  ModelMaker::attr(integers.node("Cast", {"y"}, {"z"}), "to", int64_t{onnx::TensorProto::INT64});
  integers.model.mutable_graph()->mutable_output(0)->set_name("z");
  add(integers);
  ModelMaker constant = small_model();
  constant.floats("c", {1, 3, 40, 40});
  constant.model.mutable_graph()->mutable_output(0)->set_name("c");
  add(constant);
  ModelMaker apart;  // the output does not depend on the image
  apart.input("x", {1, 3, -1, -1});
  apart.floats("c", {1, 3, 40, 40});
  apart.node("Sigmoid", {"c"}, {"y"});
  apart.output("y");
  add(apart);

  int trainable = 0;
  for (const std::string& file : files) {
    CAPTURE(file);
    const Run check =
        run({"model", "check", file, "--size", "28x36", "--json", "--threads", "1", "--precision", "f32"});
    CHECK(check.err.empty());
    const nlohmann::json json = nlohmann::json::parse(check.out);
    CHECK((check.exit_code == 0) == json.at("trainable").get<bool>());
    const auto& notes = json.at("notes");
    const bool only_gray = std::any_of(notes.begin(), notes.end(), [](const nlohmann::json& note) {
      return note.get<std::string>().find("one channel") != std::string::npos;
    });
    const Run fit =
        run({"restore", only_gray ? gray : colour, "-o", output, "--force", "--method", "fit", "--model", file,
             "--iterations", "1", "--threads", "1", "--precision", "f32", "--learning-rate", "0.001", "-q"});
    CAPTURE(check.out);
    CAPTURE(fit.err);
    CHECK(check.exit_code == fit.exit_code);
    trainable += fit.exit_code == 0 ? 1 : 0;
  }
  CHECK(trainable > 50);
}

TEST_CASE("model make refuses what makes no network, and keeps what is there") {
  const TemporaryFolder folder;
  const std::string path = folder / "net.onnx";
  std::ofstream(path) << "mine";
  check_fails(run({"model", "make", "-o", path}), 1, "--force");
  CHECK(content(path) == "mine");
  CHECK(run({"model", "make", "-o", path, "--force"}).exit_code == 0);
  CHECK(content(path) == builtin_file("standard"));

  const std::string other = folder / "other.onnx";
  check_fails(run({"model", "make", "-o", other, "--channels", "8,8", "--skips", "4"}), 1, "skips has 1 entries");
  check_fails(run({"model", "make", "-o", other, "--channels", "8,0"}), 1, "0 is not a number of channels");
  check_fails(run({"model", "make", "-o", other, "--kind", "unet", "--skips", "4"}), 1, "--skips");
  check_fails(run({"model", "make", "-o", other, "--kind", "unet", "--filter-up", "3"}), 1, "--filter-up");
  check_fails(run({"model", "make", "-o", other, "--filter-down", "4"}), 1, "filter_down");
  check_fails(run({"model", "make", "-o", other, "--kind", "vgg"}), 2, "vgg");
  check_fails(run({"model", "make", "-o", other, "--kind", "residual_unet", "--depth", "4"}), 1, "--depth");
  check_fails(run({"model", "make", "-o", other, "--kind", "residual_unet", "--no-sigmoid"}), 1, "--no-sigmoid");
  check_fails(run({"model", "make", "-o", other, "--kind", "blur", "--activation", "elu"}), 1, "--activation");
  check_fails(run({"model", "make", "-o", other, "--channels", "8,many"}), 2, "many");
  check_fails(run({"model", "make"}), 2, "--output");
  check_fails(run({"model"}), 2, "a command is missing");
  CHECK(folder.names() == std::vector<std::string>{"net.onnx"});
}

TEST_CASE("model info says what a network costs") {
  const nlohmann::json small = info({"small", "--size", "256x128"});
  CHECK(small.at("parameters") == 572827);
  CHECK(small.at("input").at("shape") == nlohmann::json({1, 3, 128, 256}));
  CHECK(small.at("output").at("shape") == nlohmann::json({1, 3, 128, 256}));
  // An eighth of the 512x512 in models/README.md.
  CHECK(small.at("training_flops").get<double>() == doctest::Approx(10.426515456e9 / 8));
  // More than the output and its gradient, less than every value of every layer kept apart.
  CHECK(small.at("peak_bytes").get<double>() > 2e6);
  CHECK(small.at("peak_bytes").get<double>() < 200e6);

  // The file is the same network.
  const TemporaryFolder folder;
  const std::string path = folder / "small.onnx";
  std::ofstream(path, std::ios::binary) << builtin_file("small");
  CHECK(info({path, "--size", "256x128"}) == small);

  // Any size: the canvas is what the network needs.
  const nlohmann::json odd = info({"small", "--size", "65x8"});
  CHECK(odd.at("output").at("shape") == nlohmann::json({1, 3, 8, 65}));
  CHECK(odd.at("canvas_width").get<int>() % 32 == 0);
  CHECK(odd.at("canvas_height").get<int>() % 32 == 0);

  // Memory is planned, not taken: this would be some 80 GB.
  CHECK(info({"standard", "--size", "3840x3840"}).at("peak_bytes").get<double>() > 3e10);

  const Run text = run({"model", "info", "unet"});
  CHECK(text.exit_code == 0);
  for (const char* part : {"decode0/b/conv", "1x16x512x512", "1231731", "GFLOP", "MiB"}) {
    CAPTURE(part);
    CHECK(text.out.find(part) != std::string::npos);
  }
}

TEST_CASE("model info refuses what is no network") {
  check_fails(run({"model", "info", "huge"}), 1, "small, medium, standard, unet");
  check_fails(run({"model", "info", "small", "--size", "512"}), 1, "WIDTHxHEIGHT");
  const TemporaryFolder folder;
  const std::string path = folder / "broken.onnx";
  std::ofstream(path) << "no network";
  check_fails(run({"model", "info", path}), 1, "broken.onnx");
}

TEST_CASE("model list names the built-in topologies") {
  const Run result = run({"model", "list"});
  CHECK(result.exit_code == 0);
  std::set<std::size_t> columns;  // where the descriptions begin
  std::istringstream lines(result.out);
  for (const Builtin& entry : builtins()) {
    std::string line;
    REQUIRE(std::getline(lines, line));
    CHECK(line.starts_with(entry.name));
    columns.insert(line.find(entry.description));
  }
  CHECK(columns.size() == 1);
  CHECK(columns.count(std::string::npos) == 0);
}

TEST_CASE("the ops that models/README.md lists are those that model check --ops lists") {
  const std::vector<uint8_t> bytes = read_file(std::string(HOURGLASS_MODELS) + "/README.md");
  const std::string page(bytes.begin(), bytes.end());
  const std::string begin = "<!-- model check --ops -->\n```\n", end = "```\n<!-- end -->";
  const std::size_t from = page.find(begin), to = page.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const Run listed = run({"model", "check", "--ops"});
  CHECK_MESSAGE(page.substr(from + begin.size(), to - from - begin.size()) == listed.out,
                "replace the list by what 'hourglass model check --ops' prints");
}

}  // namespace hourglass::test
