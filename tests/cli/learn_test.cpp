// hourglass learn: weights out of drawn pictures, repeated to the byte, and what restore makes of them.
#include <doctest/doctest.h>
#include <signal.h>  // SIGINT

#include <filesystem>

#include "engine/cli/network_option.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/train/archive.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using Names = std::vector<std::string>;

// A small network that sees one mosaic.
Names learn(const std::string& output, const Names& more) {
  Names arguments{"learn", "-o",          output, "--mosaics",  "1", "--drawings",
                  "2",     "--qualities", "20",   "--channels", "4", "--convolutions",
                  "1",     "--threads",   "1",    "--seed",     "3"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("the same seed makes the same weights, whose file says how they were made") {
  const TemporaryFolder folder;
  const std::string first = folder / "first.onnx", second = folder / "second.onnx", other = folder / "other.onnx";
  const Run made = run(learn(first, {"--gray", "--iterations", "3"}));
  CAPTURE(made.err);
  REQUIRE(made.exit_code == 0);
  CHECK_CONTAINS(made.err, "filter 100 %");
  CHECK_CONTAINS(made.err, "3/3");
  CHECK_CONTAINS(made.err, "first.onnx: 3 iterations, ");
  CHECK(folder.names() == Names{"first.onnx"});
  REQUIRE(run(learn(second, {"--gray", "--iterations", "3", "-q"})).exit_code == 0);
  const std::vector<uint8_t> bytes = read_file(first);
  CHECK(read_file(second) == bytes);
  const std::string text(bytes.begin(), bytes.end());
  CHECK_CONTAINS(text, "hourglass learn -o OUTPUT --channels 4 --convolutions 1 --drawings 2 --gray --iterations 3");
  CHECK_CONTAINS(text, "--seed 3 ");
  REQUIRE(run(learn(other, {"--gray", "--iterations", "4"})).exit_code == 0);
  CHECK(read_file(other) != bytes);

  check_fails(run(learn(first, {"--gray", "--iterations", "3"})), 1, "first.onnx: exists already; --force");

  // The photograph goes on from there.
  const Image picture = crop(read_image(data_path("chelsea.png")).image, 120, 60, 80, 72);
  const std::string photo = folder / "photo.jpg";
  write_file_atomically(photo, encode_jpeg(picture, {.quality = 10}), false);
  const Run restored = run({"restore", photo, "--model", first, "--lessons", "1", "--threads", "1", "--json"});
  CAPTURE(restored.err);
  CHECK(restored.exit_code == 0);
  CHECK(read_image(folder / "photo.restored.png").image.width == 80);
}

TEST_CASE("a network from an image to an image is what learns, whatever multiple its sides must be of") {
  const TemporaryFolder folder;
  const std::string photo = folder / "photo.jpg", hourglass = data_path("../../../models/hourglass-small.onnx");
  const Image picture = crop(read_image(data_path("chelsea.png")).image, 120, 60, 80, 72);  // of 32
  write_file_atomically(photo, encode_jpeg(picture, {.quality = 10}), false);
  const Run restored = run({"restore", photo, "--model", hourglass, "--lessons", "1", "--threads", "1"});
  CAPTURE(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK_CONTAINS(restored.err, "1 iteration of learning");
  // A file with weights means learning by itself; what is to be drawn, or makes something else, a fit.
  CHECK(cli::is_map("leaves", ""));
  CHECK(cli::is_map(data_path("../../../models/leaves.onnx"), ""));
  CHECK(cli::is_map(data_path("../onnx/skip_17_eval.onnx"), ""));
  CHECK_FALSE(cli::is_map(hourglass, ""));
  CHECK_FALSE(cli::is_map("small", ""));
  CHECK_FALSE(cli::is_map(data_path("../pytorch/skip-training-11-open.onnx"), ""));
  CHECK_FALSE(cli::is_map(folder / "none.onnx", ""));
  const Run exported = run({"restore", photo, "-o", folder / "exported.png", "--model",
                            data_path("../onnx/skip_17_eval.onnx"), "--threads", "1", "--json", "--weights", "draw"});
  CAPTURE(exported.err);
  REQUIRE(exported.exit_code == 0);
  CHECK_CONTAINS(exported.out, R"("method":"learn")");
  // Where another option means a fit, or --method says so, it is fitted.
  for (const Names& more : {Names{"--iterations", "2"}, Names{"--method", "fit", "--iterations", "2"}}) {
    Names arguments{"restore", photo, "-o", folder / "fitted.png", "--force", "--model", hourglass, "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Run fitted = run(arguments);
    CAPTURE(fitted.err);
    CHECK(fitted.exit_code == 0);
    CHECK_CONTAINS(fitted.err, "2 iterations");
  }
  check_fails(run({"restore", photo, "--model", "small", "--lessons", "1", "--force"}), 1,
              "--model small: makes an image of noise, by --method fit");
  // Untaught it does harm, and so counts for nothing.
  REQUIRE(run({"restore", photo, "--fast", "-o", folder / "filtered.png"}).exit_code == 0);
  const Image filtered = read_image(folder / "filtered.png").image;
  CHECK(psnr(read_image(folder / "photo.restored.png").image, picture) > psnr(filtered, picture) - 0.02);
}

TEST_CASE("learning that was ended goes on to the same bytes") {
  const TemporaryFolder folder;
  const std::string whole = folder / "whole.onnx", parts = folder / "parts.onnx", checkpoint = parts + ".ckpt";
  REQUIRE(run(learn(whole, {"--gray", "--iterations", "60", "-q"})).exit_code == 0);
  const auto reached = [&] {
    return std::filesystem::exists(checkpoint) ? Archive::decode(read_file(checkpoint)).integer("fit/iteration") : 0;
  };
  const Run ended = run_and_signal_when(learn(parts, {"--gray", "--iterations", "60", "--checkpoint-every", "0"}),
                                        SIGINT, [&] { return reached() > 3; });
  CAPTURE(ended.err);
  REQUIRE(ended.exit_code == 130);
  REQUIRE(reached() < 60);
  CHECK_CONTAINS(ended.err, "to go on: hourglass learn -o ");
  CHECK(folder.names() == Names{"parts.onnx", "parts.onnx.ckpt", "whole.onnx"});
  CHECK(read_file(parts) != read_file(whole));
  check_fails(run({"learn", "-o", parts, "--resume", checkpoint, "--iterations", "70"}), 1,
              "was begun with --iterations 60, not 70");
  REQUIRE(run({"learn", "-o", parts, "--resume", checkpoint, "-q"}).exit_code == 0);
  CHECK(read_file(parts) == read_file(whole));
  CHECK(folder.names() == Names{"parts.onnx", "whole.onnx"});
}

TEST_CASE("weights for noise are learned, and say so") {
  const TemporaryFolder folder;
  const std::string output = folder / "noise.onnx";
  const Run result = run({"learn", "-o", output, "--noise", "10,30", "--gray", "--iterations", "2", "--mosaics", "1",
                          "--drawings", "2", "--channels", "4", "--convolutions", "1", "--threads", "1"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const std::vector<uint8_t> bytes = read_file(output);
  CHECK_CONTAINS(std::string(bytes.begin(), bytes.end()), "--noise 10,30");
  CHECK_CONTAINS(run({"model", "info", output, "--size", "64x64"}).out, "z 1x12x64x64");
}

TEST_CASE("a file's own table can be learned, and what does not fit is refused") {
  const TemporaryFolder folder;
  const std::string photo = folder / "photo.jpg", output = folder / "out.onnx";
  write_file_atomically(photo, encode_jpeg(read_image(data_path("chelsea.png")).image, {.quality = 30}), false);
  REQUIRE(run(learn(output, {"--table-from", photo, "--iterations", "1"})).exit_code == 0);
  CHECK_CONTAINS(run({"model", "info", output, "--size", "64x64"}).out, "z 1x16x64x64");
  check_fails(run(learn(output, {"--table-from", photo, "--iterations", "1", "--gray", "--force"})), 1,
              "photo.jpg: is in colour: leave out --gray");
  check_fails(run(learn(output, {"--start", data_path("../../../models/unet.onnx"), "--force"})), 1,
              "to be taught in a lesson it must make");
  check_fails(run(learn(output, {"--start", output, "--force"})), 1, "--output");
  check_fails(run(learn(output, {"--keep-mosaics", photo, "--table-from", photo, "--force"})), 1, "--keep-mosaics");
  check_fails(run(learn(output, {"--qualities", "0", "--force"})), 1, "--qualities: 0 is none");
  check_fails(run(learn(output, {"--noise", "5,0", "--force"})), 1, "--noise: 0 is none, it goes from 1 to 255");
  check_fails(run(learn(output, {"--noise", "5", "--table-from", photo, "--force"})), 1, "--noise and --table-from");
  check_fails(run(learn(output, {"--noise", "5", "--qualities", "20", "--force"})), 1, "--noise and --qualities");
  const std::string other = folder / "other.txt";
  write_file_atomically(other, std::vector<uint8_t>{'n', 'o', 't', 'e'}, false);
  const Run kept = run(learn(output, {"--keep-mosaics", other, "--iterations", "1", "--force"}));
  CHECK(kept.exit_code == 1);
  CHECK_CONTAINS(kept.err, "other.txt: holds no mosaics, and is not replaced");
  CHECK(read_file(other).size() == 4);
  check_fails(run(learn(output, {"--iterations", "0"})), 2, "--iterations");
}

}  // namespace hourglass::test
