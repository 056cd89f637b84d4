#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/metrics.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {

TEST_CASE("degrade at a quality") {
  const TemporaryFolder folder;
  const std::string input = data_path("coffee.png"), output = folder / "out.jpg";
  const Run result = run({"degrade", input, "-o", output, "--quality", "10"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(result.out.find("out.jpg: quality 10, ") != std::string::npos);
  const Image image = read_image(input).image;
  CHECK(read_file(output) == encode_jpeg(image, {.quality = 10}));

  const Run json = run({"degrade", input, "-o", folder / "b.jpg", "--quality", "10", "--json"});
  const auto values = nlohmann::json::parse(json.out);
  CHECK(values.at("quality") == 10);
  CHECK(values.at("bytes") == read_file(output).size());
  CHECK(values.at("input_bytes") == read_file(input).size());
  CHECK(values.at("psnr").get<double>() == doctest::Approx(psnr(read_image(output).image, image)));
}

TEST_CASE("degrade the luma alone") {
  const TemporaryFolder folder;
  const std::string input = data_path("chelsea.png"), output = folder / "gray.jpg";
  REQUIRE(run({"degrade", input, "-o", output, "--quality", "30", "--gray", "--keep-metadata"}).exit_code == 0);
  CHECK(read_file(output) == encode_jpeg(to_gray(read_image(input).image), {.quality = 30}));
}

TEST_CASE("degrade to a share of the bytes") {
  const TemporaryFolder folder;
  const std::string input = data_path("astronaut.png");
  const Image image = read_image(input).image;
  const double input_bytes = static_cast<double>(read_file(input).size());
  for (const double ratio : {0.05, 0.25}) {
    const std::string output = folder / (std::to_string(ratio) + ".jpg");
    const Run result = run({"degrade", input, "-o", output, "--ratio", std::to_string(ratio), "--json"});
    REQUIRE(result.exit_code == 0);
    const auto values = nlohmann::json::parse(result.out);
    const int quality = values.at("quality");
    CHECK(values.at("bytes").get<double>() <= ratio * input_bytes);
    for (int better = quality + 1; better <= 100; ++better)
      CHECK(static_cast<double>(encode_jpeg(image, {.quality = better}).size()) > ratio * input_bytes);
    CHECK(read_file(output) == encode_jpeg(image, {.quality = quality}));
  }
}

TEST_CASE("sampling, progression and metadata reach the file") {
  const TemporaryFolder folder;
  const std::string input = data_path("chelsea.png");
  REQUIRE(run({"degrade", input, "-o", folder / "444.jpg", "--quality", "50", "--subsampling", "444"}).exit_code == 0);
  CHECK(read_jpeg_coefficients(read_file(folder / "444.jpg")).max_h_sampling == 1);
  REQUIRE(run({"degrade", input, "-o", folder / "p.jpg", "--quality", "50", "--progressive"}).exit_code == 0);
  CHECK(read_file(folder / "p.jpg") == encode_jpeg(read_image(input).image, {.quality = 50, .progressive = true}));
  CHECK(read_image(folder / "p.jpg").metadata.icc_profile.empty());
  REQUIRE(run({"degrade", input, "-o", folder / "m.jpg", "--quality", "50", "--keep-metadata"}).exit_code == 0);
  CHECK(read_image(folder / "m.jpg").metadata.icc_profile == read_image(input).metadata.icc_profile);
}

TEST_CASE("from standard input to standard output") {
  const TemporaryFolder folder;
  const std::string input = data_path("camera.png");
  const Run result = run({"degrade", "-", "-o", "-", "--quality", "20"}, input, folder / "piped.jpg");
  CHECK(result.exit_code == 0);
  CHECK(result.err.find("quality 20") != std::string::npos);
  CHECK(read_file(folder / "piped.jpg") == encode_jpeg(read_image(input).image, {.quality = 20}));
}

TEST_CASE("an existing file is replaced only with --force") {
  const TemporaryFolder folder;
  const std::string input = data_path("camera.png"), output = folder / "out.jpg";
  std::ofstream(output) << "precious";
  check_fails(run({"degrade", input, "-o", output, "--quality", "10"}), 1, "out.jpg: exists already; --force");
  CHECK(read_file(output).size() == 8);
  CHECK(run({"degrade", input, "-o", output, "--quality", "10", "--force"}).exit_code == 0);
  CHECK(read_image(output).image.width == 128);
  CHECK(folder.names() == std::vector<std::string>{"out.jpg"});
}

TEST_CASE("errors leave no file behind") {
  const TemporaryFolder folder;
  const std::string input = data_path("camera.png"), output = folder / "out.jpg";
  const auto fails = [&](std::vector<std::string> arguments, int code, const std::string& text) {
    arguments.insert(arguments.begin(), "degrade");
    check_fails(run(arguments), code, text);
    CHECK(folder.names().empty());
  };
  fails({input, "-o", output}, 2, "--quality");
  fails({input, "-o", output, "--quality", "0"}, 2, "--quality");
  fails({input, "-o", output, "--quality", "101"}, 2, "--quality");
  fails({input, "-o", output, "--quality", "10", "--ratio", "0.5"}, 2, "--ratio");
  for (const std::string ratio : {"0", "-1", "1.5", "nan", "much"})
    fails({input, "-o", output, "--ratio", ratio}, 2, "--ratio");
  fails({input, "-o", output, "--quality", "10", "--subsampling", "411"}, 2, "411");
  fails({input, "--quality", "10"}, 2, "--output");
  fails({input, "-o", output, "--ratio", "0.001"}, 1, "no quality makes a JPEG of at most");
  fails({input, "-o", folder / "no/out.jpg", "--quality", "10"}, 1, "no does not exist");
  fails({input, "-o", folder.string(), "--quality", "10"}, 1, "is a folder");
  fails({folder / "missing.png", "-o", output, "--quality", "10"}, 1, "no such file");
  fails({input, "-o", folder / "out.png", "--quality", "10"}, 1,
        "out.png: what is written is a JPEG: name it " + folder / "out.jpg");
  fails({input, "-o", output, "--noise", "10"}, 1, "out.jpg: what is written is a PNG: name it " + folder / "out.png");
  fails({input, "-o", folder / "out.png", "--drop", "0.1", "--mask", folder / "mask.jpeg"}, 1, "mask.jpeg: what is");
}

TEST_CASE("without its EXIF, an image is turned upright") {
  const TemporaryFolder folder;
  const Image picture = make_picture(24, 16, 3);
  Metadata metadata;
  metadata.exif = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
  write_png(folder / "in.png", picture, {.metadata = &metadata}, false);
  const Run plain = run({"degrade", folder / "in.png", "-o", folder / "a.jpg", "--quality", "50"});
  CHECK(plain.exit_code == 0);
  CHECK_CONTAINS(plain.err, "in.png: turned upright, as its EXIF orientation says");
  CHECK(read_file(folder / "a.jpg") == encode_jpeg(upright(picture, 6), {.quality = 50}));
  const Run kept = run({"degrade", folder / "in.png", "-o", folder / "b.jpg", "--quality", "50", "--keep-metadata"});
  CHECK(kept.err.empty());
  CHECK(read_image(folder / "b.jpg").image.width == 24);
  CHECK(run({"compare", folder / "a.jpg", folder / "b.jpg"}).exit_code == 0);
}

TEST_CASE("every name of standard output is standard output") {
  const TemporaryFolder folder;
  const std::string input = data_path("camera.png");
  const Bytes expected = encode_jpeg(read_image(input).image, {.quality = 20});
  int count = 0;
  for (const char* name : {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/../dev/stdout"}) {
    CAPTURE(name);
    const std::string file = folder / std::to_string(count++);
    const Run to_file = run({"degrade", input, "-o", name, "--quality", "20", "--json"}, {}, file);
    CHECK(to_file.exit_code == 0);
    CHECK(nlohmann::json::parse(to_file.err).at("quality") == 20);
    CHECK(read_file(file) == expected);
    const Run to_pipe = run_into_pipe({"degrade", input, "-o", name, "--quality", "20"});
    CHECK(to_pipe.exit_code == 0);
    CHECK(Bytes(to_pipe.out.begin(), to_pipe.out.end()) == expected);
  }
  check_fails(run({"degrade", input, "-o", "/dev/fd/77", "--quality", "20"}), 1, "/dev/fd/77: is not open");
  check_fails(run({"degrade", input, "-o", "/dev/stdin", "--quality", "20"}), 1, "/dev/stdin: is not open for writing");
}

}  // namespace hourglass::test
