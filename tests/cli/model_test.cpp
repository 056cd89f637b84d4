// hourglass model make | info | check | list.
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
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
    CAPTURE(name);
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
  CHECK(text.out.find("size: height and width must be multiples of 32: padding is added") != std::string::npos);
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
  m.output("y");
  const TemporaryFolder folder;
  const std::string path = folder / "net.onnx";
  std::ofstream(path, std::ios::binary) << m.bytes();
  const Run result = run({"model", "check", path});
  CHECK(result.exit_code == 1);
  for (const char* part :
       {"refused: node 'boxes' (NonMaxSuppression): the op is not supported",
        "'hourglass model check --ops' lists them", "refused: node 'bits' (QuantizeLinear): the op is not supported",
        "export the network from before its quantization", "It can't be trained here."}) {
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
  for (const Builtin& entry : builtins()) {
    CHECK(result.out.find(std::string(entry.name)) != std::string::npos);
    CHECK(result.out.find(std::string(entry.description)) != std::string::npos);
  }
}

}  // namespace hourglass::test
