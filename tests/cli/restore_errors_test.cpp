// hourglass restore refuses: one message that names the file, the right exit code, and nothing written.
#include <doctest/doctest.h>
#include <stdlib.h>  // setenv is POSIX
#include <unistd.h>

#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/graph/onnx_maker.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

void save(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
void save(const std::string& path, const Bytes& bytes) { write_file_atomically(path, bytes, true); }

struct Fixture {
  TemporaryFolder folder;
  std::string input = folder / "in.jpg", output = folder / "out.png";

  Fixture() { save(input, encode_jpeg(make_picture(24, 16, 3), {.quality = 10})); }

  // Everything is as before, and the message holds every one of the texts, on one line unless lines says otherwise.
  void fails(std::vector<std::string> arguments, int code, const std::vector<std::string>& texts, int lines = 1) const {
    CAPTURE(arguments.back());
    const std::vector<std::string> before = folder.names();
    arguments.insert(arguments.begin(), "restore");
    arguments.insert(arguments.end(), {"--iterations", "2", "--threads", "1"});
    const Run result = run(arguments);
    for (const std::string& text : texts) check_fails(result, code, text);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == lines);
    CHECK(folder.names() == before);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "restore refuses a run that does not fit into the memory it may have") {
  const std::string fit = "--method=fit";
  fails({input, fit, "--memory-limit", "1M"}, 1,
        {"the fit needs ", " MiB, the limit is 1 MiB: take a smaller network"});
  fails({input, fit, "--memory-limit", "1.5MiB"}, 1, {"MiB, the limit is 1.5 MiB: take"});
  fails({input, fit, "--memory-limit", "5000"}, 1, {"MiB, the limit is 5000 bytes: take"});
  const std::string larger = folder / "larger.jpg";
  save(larger, encode_jpeg(make_picture(96, 80, 3), {.quality = 10}));
  check_fails(run({"restore", larger, "--memory-limit", "80M"}), 1,
              "larger.jpg: is 96x80, for which --method learn needs about 81.33 MiB, and the limit is 80 MiB: --method "
              "filter needs less");
  // Too small to learn from: it is filtered.
  check_fails(
      run({"restore", input, "--memory-limit", "10M"}), 1,
      "in.jpg: is 24x16, for which --method learn needs about 31.48 MiB, and the limit is 10 MiB: give it more");
  check_fails(run({"restore", input, "--fast", "--memory-limit", "10M"}), 1,
              "in.jpg: is 24x16, for which --method filter needs about 27.6");
  fails({input, "--memory-limit", "100"}, 1,
        {"in.jpg: is 24x16: its pixels alone need 4608 bytes, and the limit is 100"});
  for (const char* wrong : {"much", "-1", "-1G", "nan", "5Q", "1.5GX", "1M2", "99999E", "G"}) {
    fails({input, "--memory-limit", wrong}, 2, {"--memory-limit", "expected a size as 800M, 1.5G or a number of"}, 2);
  }
}

TEST_CASE_FIXTURE(Fixture, "no output takes the place of an input or of another output") {
  const auto refuses = [&](const std::vector<std::string>& options, const std::string& text) {
    std::vector<std::string> arguments{input, "--force"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const std::vector<uint8_t> before = read_file(input);
    fails(arguments, 1, {text});
    CHECK(read_file(input) == before);
  };
  const std::string same = folder / "./in.jpg", link = folder / "link.jpg", hard = folder / "hard.jpg";
  std::filesystem::create_symlink(input, link);
  std::filesystem::create_hard_link(input, hard);
  for (const std::string& name : {input, same, link, hard}) {
    refuses({"-o", name}, "is both the input and the --output: name another file");
    for (const std::string option : {"--history", "--report", "--profile", "--checkpoint"}) {
      refuses({"-o", output, option, name}, name + ": is both the input and the " + option);
    }
  }
  save(folder / "reference.png", encode_png(make_picture(24, 16, 3)));
  refuses({"-o", folder / "reference.png", "--reference", folder / "./reference.png"},
          "is both the --reference and the --output");
  save(folder / "net.onnx", small_model().bytes());
  refuses({"-o", output, "--model", folder / "net.onnx", "--history", folder / "./net.onnx"},
          "is both the --model and the --history");
  refuses({"-o", output, "--history", folder / "./out.png"}, "is both the --output and the --history");
  refuses({"-o", output, "--history", folder / "out.png.ckpt"}, "is both the --history and the checkpoint");

  const std::string mask = folder / "mask.png";
  save(mask, encode_png(make_picture(24, 16, 1)));
  check_fails(run({"inpaint", input, "--mask", mask, "-o", folder / "./mask.png", "--force"}), 1,
              "is both the --mask and the --output");
  check_fails(run({"degrade", input, "-o", link, "--quality", "5", "--force"}), 1,
              "is both the input and the --output");
  check_fails(run({"degrade", input, "-o", output, "--drop", "0.5", "--mask", same, "--force"}), 1,
              "is both the input and the --mask");
  check_fails(run({"degrade", input, "-o", output, "--drop", "0.5", "--mask", folder / "./out.png"}), 1,
              "is both the --output and the --mask");
  save(folder / "restored.png", encode_png(make_picture(24, 16, 3)));
  check_fails(run({"experiment", folder / "restored.png", "-o", folder.string(), "--quality", "5", "--force"}), 1,
              "is both the input and the experiment's restored.png");
  // What is no file can be both.
  CHECK(run({"degrade", "-", "-o", "-", "--quality", "20"}, input, "/dev/null").exit_code == 0);
}

TEST_CASE_FIXTURE(Fixture, "restore refuses images that it can't read") {
  fails({folder / "missing.jpg"}, 1, {"missing.jpg: no such file"});
  fails({folder.string()}, 1, {"is a folder"});
  const std::string bad = folder / "bad.jpg";
  save(bad, "holiday notes, not a picture");
  fails({bad}, 1, {"bad.jpg: is neither a JPEG nor a PNG file"});
  save(bad, encode_raw_jpeg(16, 16, {.components = 4, .input_space = JCS_CMYK, .file_space = JCS_CMYK}));
  fails({bad}, 1, {"bad.jpg: ", "CMYK"});
  save(bad, encode_raw_jpeg(16, 16, {.components = 4, .input_space = JCS_CMYK, .file_space = JCS_YCCK}));
  fails({bad}, 1, {"bad.jpg: ", "YCCK"});
  for (const bool progressive : {false, true}) {
    Bytes cut = encode_jpeg(make_picture(64, 64, 3), {.quality = 50, .progressive = progressive});
    cut.resize(cut.size() * 2 / 3);
    save(bad, cut);
    fails({bad}, 1, {"bad.jpg: the JPEG is truncated or damaged"});
  }
  Bytes cut = encode_png(make_picture(64, 64, 3));
  cut.resize(cut.size() * 2 / 3);
  save(bad, cut);
  fails({bad}, 1, {"bad.jpg: "});
}

TEST_CASE_FIXTURE(Fixture, "restore refuses outputs that are called what they are not, and dangling links") {
  fails({input, "-o", folder / "clean.webp"}, 1,
        {"clean.webp: what is written is a PNG, a JPEG or a JPEG XL: name it " + folder / "clean.png"});
  fails({input, "-o", folder / "clean.v2.TIFF"}, 1, {"name it " + folder / "clean.v2.png"});
  std::filesystem::create_symlink("nowhere.png", folder / "link.png");
  for (const bool force : {false, true}) {
    std::vector<std::string> arguments{input, "-o", folder / "link.png"};
    if (force) arguments.emplace_back("--force");
    fails(arguments, 1, {"link.png: is a symbolic link to nowhere.png, which does not exist"});
  }
  CHECK(run({"restore", input, "-o", folder / "clean.of.me", "--fast"}).exit_code == 0);
}

TEST_CASE_FIXTURE(Fixture, "restore refuses networks that don't suit") {
  const std::string net = folder / "net.onnx";
  fails({input, "--model", "huge"}, 1,
        {"huge: neither a file nor a built-in network", "small, medium, standard, unet"});
  save(net, "no network");
  fails({input, "--model", net}, 1, {"net.onnx: is not an ONNX model"});
  std::string half = small_model().bytes();
  save(net, half.substr(0, half.size() / 2));
  fails({input, "--model", net}, 1, {"net.onnx: "});

  ModelMaker unsupported = small_model();
  unsupported.node("NonMaxSuppression", {"y", "y"}, {"a"}, "first");
  unsupported.node("Foo", {"y"}, {"b"}, "second");
  unsupported.node("Concat", {"a", "b"}, {"z"}, "both");
  unsupported.model.mutable_graph()->mutable_output(0)->set_name("z");
  save(net, unsupported.bytes());
  fails({input, "--model", net}, 1,
        {"hourglass: " + net + ": 2 of 5 nodes are not supported", "'first' (NonMaxSuppression)", "'second' (Foo)"}, 3);

  // Four channels, and two images of half the size.
  save(net, small_model().bytes());
  fails({input, "--model", net}, 1, {"net.onnx: the network makes 4 channels, the image has 3"});
  fails({input, "--model", net, "--energy", "cell"}, 1, {"net.onnx: the network makes 4 channels, the image has 3"});
  ModelMaker gray;
  gray.input("x", {1, 3, -1, -1});
  gray.floats("w", {1, 3, 1, 1});
  gray.node("Conv", {"x", "w"}, {"y"});
  gray.output("y");
  save(net, gray.bytes());
  fails({input, "--model", net}, 1, {"net.onnx: the network makes 1 channel, the image has 3"});
  ModelMaker half_size;
  half_size.input("x", {1, 3, -1, -1});
  half_size.floats("w", {3, 3, 1, 1});
  ModelMaker::attr(half_size.node("Conv", {"x", "w"}, {"y"}), "strides", std::vector<int64_t>{2, 2});
  half_size.output("y");
  save(net, half_size.bytes());
  fails({input, "--model", net}, 1, {"net.onnx: ", "the output must have the input's size"});
}

TEST_CASE_FIXTURE(Fixture, "a fit that diverges is an error, whatever it has made on the way") {
  const auto diverge = [&](const std::string& from) {
    return run({"restore", from, "-o", output, "--method", "fit", "--learning-rate", "1e39", "--iterations", "3",
                "--threads", "1", "--checkpoint", folder / "run.ckpt"});
  };
  const std::string png = folder / "in.png";
  save(png, encode_png(make_picture(24, 16, 3)));
  const Run of_png = diverge(png);
  CHECK(of_png.exit_code == 1);
  CHECK_CONTAINS(of_png.err, "hourglass: the fit diverged: at its end, ");
  CHECK_CONTAINS(of_png.err, "try a lower --learning-rate");
  CHECK(of_png.err.find("restored in") == std::string::npos);
  CHECK_FALSE(std::filesystem::exists(output));
  // Of a JPEG there is the filter's result.
  const Run of_jpeg = diverge(input);
  CHECK(of_jpeg.exit_code == 1);
  CHECK_CONTAINS(of_jpeg.err, "hourglass: the fit diverged: at its end, ");
  CHECK_CONTAINS(of_jpeg.err, "out.png holds the filter's result");
  CHECK(std::filesystem::exists(output));
}

TEST_CASE_FIXTURE(Fixture, "restore refuses a reference that is not the original") {
  const std::string reference = folder / "reference.png";
  write_png(reference, make_picture(24, 17, 3), {}, true);
  fails({input, "--reference", reference}, 1, {"reference.png: is 24x17, the result will be 24x16"});
  save(reference, "text");
  fails({input, "--reference", reference}, 1, {"reference.png: is neither"});
  fails({input, "--reference", folder / "none.png"}, 1, {"none.png: no such file"});
}

TEST_CASE_FIXTURE(Fixture, "restore refuses places that it can't write to, before it starts") {
  fails({input, "-o", folder / "no/out.png"}, 1, {"out.png: the folder ", "no does not exist"});
  fails({input, "-o", folder.string()}, 1,
        {"is a folder: name a file in it, or give the folder as --output-dir " + folder.string()});
  // A program learns of it from the objects.
  const Run told = run({"restore", input, "-o", folder.string(), "--json"});
  CHECK(told.exit_code == 1);
  const nlohmann::json object = nlohmann::json::parse(told.out);
  CHECK(object.at("event") == "error");
  CHECK(object.at("input") == input);
  CHECK_CONTAINS(object.at("error").get<std::string>(), "is a folder");
  fails({input, "-o", folder / "new/"}, 1, {"new/: names a folder: name a file in it, or give the folder as --output"});
  fails({input, "-o", output, "--history", folder / "no/history.csv"}, 1, {"no does not exist"});
  fails({input, "-o", output, "--history", output}, 1, {"out.png: is both"});
  if (::geteuid() != 0) {  // root may write anywhere
    const std::string closed = folder / "closed";
    std::filesystem::create_directory(closed);
    std::filesystem::permissions(closed, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    fails({input, "-o", closed + "/out.png"}, 1, {"cannot write into the folder"});
  }
  if (std::filesystem::exists("/dev/full")) {
    // Found out only at the end, after the progress.
    ::setenv("TMPDIR", folder.string().c_str(), 1);
    const Run full = run({"restore", input, "-q", "-o", "/dev/full", "--iterations", "1", "--threads", "1"});
    ::unsetenv("TMPDIR");
    check_fails(full, 1, "/dev/full: cannot write: No space left");
    const std::size_t at = full.err.find(folder.string());
    REQUIRE(at != std::string::npos);
    CHECK(read_image(full.err.substr(at, full.err.find('\n', at) - at)).image.width == 24);
  }
  fails({input, "-o", folder / (std::string(248, 'a') + ".png")}, 1, {"cannot create the file"});
  fails({input, "-o", output, "--json", "--history", "-"}, 1, {"--history - and --json both go to standard output"});
  fails({input, "-o", output, "--json", "--history", "/dev/fd/1"}, 1, {"--history /dev/fd/1 and --json both go"});
  fails({input, "-o", "/dev/stdout", "--history", "-"}, 1, {"is both the --output and the --history"});
}

#if defined(__x86_64__)
TEST_CASE_FIXTURE(Fixture, "restore refuses bf16 where it would be emulated") {
  ::setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
  fails({input, "-o", output, "--precision", "bf16"}, 1, {"--precision bf16: this CPU has no bf16", "use f32"});
  ::unsetenv("ONEDNN_MAX_CPU_ISA");
}
#endif

TEST_CASE_FIXTURE(Fixture, "restore refuses options that mean nothing") {
  const std::vector<std::vector<std::string>> wrong{
      {"--runs", "0"},         {"--bit-depth", "12"}, {"--schedule", "linear"},   {"--energy", "tv"},
      {"--precision", "int8"}, {"--threads", "-1"},   {"--half-width", "0.6"},    {"--learning-rate", "0"},
      {"--input-noise", "-1"}, {"--seed", "many"},    {"--learning-rate", "nan"}, {"--input-noise", "inf"},
      {"--half-width", "nan"}};
  for (const auto& options : wrong) fails({input, options[0], options[1]}, 2, {options[0]}, 2);
  for (const char* seed : {"-1", "18446744073709551616", "1.5"}) {
    fails({input, std::string("--seed=") + seed}, 2, {"--seed"}, 2);
  }
  fails({input, "--seed", "-1"}, 2, {"expected a whole number from 0 to 18446744073709551615, got -1"}, 2);
  fails({input, "--learning-rate", "0"}, 2, {"--learning-rate: expected a number above 0, got 0"}, 2);
  fails({input, "--input-noise", "-1"}, 2, {"--input-noise: expected 0 or a number above it, got -1"}, 2);
  fails({input, "--optimize", "all"}, 2, {"expected one of: net / input / net,input; got all"}, 2);
  const Run largest = run({"restore", input, "-o", output, "--seed", "18446744073709551615", "--memory-limit", "1.5G",
                           "--optimize", "net,input", "--iterations", "2", "--threads", "1"});
  CAPTURE(largest.err);
  CHECK(largest.exit_code == 0);
  std::filesystem::remove(output);
  const Run iterations = run({"restore", input, "--iterations", "0"});
  check_fails(iterations, 2, "--iterations");
  check_fails(run({"restore"}), 2, "Try 'hourglass restore --help'");
  fails({data_path("camera.png"), "-o", output, "--energy", "cell"}, 1, {"camera.png: is no JPEG"});
  fails({data_path("camera.png"), "-o", output, "--energy", "blend"}, 1, {"camera.png: is no JPEG", "--energy blend"});
  fails({input, "-o", output, "--cell-weight", "0.2"}, 1, {"--cell-weight: belongs to --energy blend"});
}

}  // namespace hourglass::test
