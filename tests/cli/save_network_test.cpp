// --save-network: the fitted network as a file, and fits that go on from it or begin anew with --weights draw.
#include <doctest/doctest.h>

#include <signal.h>  // POSIX

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/image/file.h"
#include "engine/image/npy.h"
#include "engine/image/read_image.h"
#include "graph/onnx_import.h"
#include "ops/table.h"
#include "tests/cli/run.h"
#include "tests/engine/image/fixtures.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

// The network makes 96x64 pixels, of which the image is a part.
std::string input_in(const TemporaryFolder& folder) {
  const std::string path = folder / "in.png";
  write_png(path, make_picture(75, 61, 3), {}, true);
  return path;
}

Run fit(const std::string& input, const std::string& output, std::vector<std::string> more) {
  std::vector<std::string> arguments{"restore",     input, "-o",      output,  "--method",      "fit",
                                     "--precision", "f32", "--stop",  "none",  "--input-noise", "0",
                                     "--threads",   "1",   "--force", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments);
}

// PSNR of the network's image to the input, as the message says.
double psnr_of_saved(const Run& result) {
  const std::size_t at = result.err.find("PSNR of its image to the input ");
  REQUIRE(at != std::string::npos);
  return std::stod(result.err.substr(at + 31));
}

// The first iteration's PSNR to the input.
double first_psnr(const std::string& history) {
  std::ifstream file(history);
  std::string line, column;
  std::getline(file, line);
  while (line.starts_with("#")) std::getline(file, line);
  std::istringstream names(line);
  int wanted = 0;
  for (int i = 0; std::getline(names, column, ','); ++i) {
    if (column == "psnr_degraded") wanted = i;
  }
  std::getline(file, line);
  std::istringstream values(line);
  for (int i = 0; i <= wanted; ++i) std::getline(values, column, ',');
  return std::stod(column);
}

}  // namespace

TEST_CASE("--save-network writes what a fit goes on from, and --weights draw begins anew") {
  const TemporaryFolder folder;
  const std::string input = input_in(folder);
  const std::string saved = folder / "fitted.onnx", output = folder / "out.png";
  const std::string array = folder / "z.npy";
  const Run first =
      fit(input, output, {"--model", "small", "--iterations", "30", "--save-network", saved, "--network-input", array});
  REQUIRE_MESSAGE(first.exit_code == 0, first.err);
  const Graph graph = import_onnx(saved, op_table(), {.fixed = true}).graph;
  const Value& z = graph.value(graph.inputs[0]);
  REQUIRE(z.data != nullptr);
  const Array given = decode_npy(read_file(array));
  CHECK(Shape(given.shape) == z.type.shape);
  CHECK(std::equal(given.values.begin(), given.values.end(), z.data->values.begin(), z.data->values.end()));

  const std::string history = folder / "again.csv";
  const std::vector<std::string> again{"--model", saved, "--iterations", "1", "--history", history};
  const Run second = fit(input, output, again);
  REQUIRE_MESSAGE(second.exit_code == 0, second.err);
  CHECK(first_psnr(history) == doctest::Approx(psnr_of_saved(first)).epsilon(0.001));

  std::vector<std::string> anew = again;
  anew.insert(anew.end(), {"--weights", "draw"});
  const Run third = fit(input, output, anew);
  REQUIRE_MESSAGE(third.exit_code == 0, third.err);
  CHECK(first_psnr(history) < psnr_of_saved(first) - 1);
}

TEST_CASE("--save-network refuses what it can't do before the fit begins") {
  const TemporaryFolder folder;
  const std::string input = input_in(folder);
  const std::string saved = folder / "fitted.onnx", output = folder / "out.png";
  check_fails(run({"restore", input, "-o", output, "--method", "fit", "--runs", "2", "--save-network", saved}), 1,
              "--save-network: each of the 2 runs fits a network of its own");
  check_fails(run({"restore", input, "-o", output, "--method", "fit", "--runs", "2", "--network-input", saved}), 1,
              "--network-input: each of the 2 runs fits a network of its own");
  check_fails(run({"restore", input, "-o", output, "--method", "fit", "--save-network", output}), 1, "--save-network");
  check_fails(run({"restore", input, "-o", output, "--method", "fit", "--network-input", input}), 1, "--network-input");
  check_fails(run({"restore", input, input, "--output-dir", folder / "all", "--save-network", saved}), 1,
              "--save-network");
  CHECK(!std::filesystem::exists(output));
  CHECK(!std::filesystem::exists(saved));
}

TEST_CASE("where the network can't be written the image and the result are there all the same") {
  const TemporaryFolder folder;
  const std::string input = input_in(folder), output = folder / "out.png";
  const Run result = fit(input, output, {"--iterations", "3", "--save-network", "/dev/full"});
  CHECK(result.exit_code == 1);
  CHECK(std::filesystem::exists(output));
  // The result, then what went wrong behind it.
  CHECK_CONTAINS(result.out, "\"event\":\"result\",\"input\":\"" + input + "\",\"output\":\"" + output + "\"");
  CHECK(nlohmann::json::parse(last_line(result.out)).at("event") == "error");
  CHECK(result.err.find("/dev/full") != std::string::npos);
}

TEST_CASE("the command that goes on with an interrupted run saves the network too") {
  const TemporaryFolder folder;
  const std::string input = input_in(folder), output = folder / "out.png", saved = folder / "fitted.onnx";
  const Run result =
      run_and_signal({"restore", input, "-o", output, "--method", "fit", "--iterations", "100000", "--stop", "none",
                      "--threads", "1", "--checkpoint", folder / "run.ckpt", "--save-network", saved},
                     SIGTERM, "dB");
  CHECK(result.exit_code == 143);
  CHECK(std::filesystem::exists(saved));
  CHECK(result.err.find("--save-network " + saved) != std::string::npos);
}

}  // namespace hourglass::test
