// hourglass denoise, inpaint and upscale, and the inputs that degrade makes for them. What they share with restore is
// tested in restore_test.cpp.
#include <doctest/doctest.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/resample.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

// The small network and two iterations unless `arguments` says otherwise.
Run fit(std::vector<std::string> arguments, const std::string& iterations = "2") {
  arguments.insert(arguments.end(), {"--threads", "1", "--iterations", iterations});
  if (std::find(arguments.begin(), arguments.end(), "--model") == arguments.end()) {
    arguments.insert(arguments.end(), {"--model", "small"});
  }
  return run(arguments);
}

nlohmann::json json_of(const Run& result) {
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(last_line(result.out));
}

struct Fixture {
  TemporaryFolder folder;
  std::string original = folder / "photo.png";
  Image picture = crop(read_image(data_path("chelsea.png")).image, 120, 60, 96, 96);

  Fixture() { write_png(original, picture, {}, true); }

  std::string degraded(const std::string& name, const std::vector<std::string>& how) const {
    std::vector<std::string> arguments{"degrade", original, "-o", folder / name};
    arguments.insert(arguments.end(), how.begin(), how.end());
    REQUIRE(run(arguments).exit_code == 0);
    return folder / name;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "degrade makes noise, holes and small images") {
  const std::string output = folder / "out.png", mask = folder / "out.mask.png";
  const nlohmann::json noisy = json_of(run({"degrade", original, "-o", output, "--noise", "25", "--json"}));
  CHECK(noisy.at("psnr").get<double>() == doctest::Approx(20 * std::log10(255 / 25.0)).epsilon(0.02));
  CHECK(noisy.at("psnr").get<double>() == doctest::Approx(psnr(read_image(output).image, picture)));
  const std::vector<uint8_t> once = read_file(output);
  REQUIRE(run({"degrade", original, "-o", output, "--noise", "25", "--force"}).exit_code == 0);
  const bool same = read_file(output) == once;
  CHECK(same);
  REQUIRE(run({"degrade", original, "-o", output, "--noise", "25", "--seed", "1", "--force"}).exit_code == 0);
  const bool other_seed_same = read_file(output) == once;
  CHECK(!other_seed_same);

  const nlohmann::json holes = json_of(run({"degrade", original, "-o", output, "--drop", "0.25", "--force", "--json"}));
  CHECK(holes.at("missing").get<double>() == doctest::Approx(0.25).epsilon(0.1));
  CHECK(holes.at("mask") == mask);
  const Image holed = read_image(output).image, kept = read_image(mask).image;
  REQUIRE(kept.channels == 1);
  for (std::size_t i = 0; i < holed.pixels.size(); ++i) {
    CHECK(holed.pixels[i] == picture.pixels[i] * kept.pixels[i % kept.pixels.size()]);
  }

  const nlohmann::json small =
      json_of(run({"degrade", original, "-o", output, "--downscale", "4", "--force", "--json"}));
  CHECK(small.at("width") == 24);
  Image expected = Downsampler(4).apply(picture);
  clamp(expected);
  CHECK(largest_difference(read_image(output).image, expected) < 0.51 / 255);
}

TEST_CASE_FIXTURE(Fixture, "degrade refuses what makes no sense") {
  const std::string output = folder / "out.png";
  const auto fails = [&](const std::vector<std::string>& how, int code, const std::string& text) {
    std::vector<std::string> arguments{"degrade", original, "-o", output};
    arguments.insert(arguments.end(), how.begin(), how.end());
    CAPTURE(text);
    check_fails(run(arguments), code, text);
    CHECK(folder.names() == std::vector<std::string>{"photo.png"});
  };
  fails({"--noise", "0"}, 2, "--noise");
  fails({"--noise", "nan"}, 2, "--noise");
  fails({"--drop", "1"}, 2, "--drop");
  fails({"--drop", "nan"}, 2, "--drop");
  fails({"--downscale", "3"}, 2, "--downscale");
  fails({"--noise", "5", "--drop", "0.5"}, 2, "only one may be given of --quality, --ratio, --noise, ");
  fails({}, 2, "one must be given of --quality, --ratio, --noise, ");
  fails({"--noise"}, 2, "--noise: its value is missing, as in '--noise X'");
  fails({"--noise", "5", "--progressive"}, 2, "--progressive");
  fails({"--noise", "5", "--mask", folder / "m.png"}, 2, "--mask");
  fails({"--drop", "0.5", "--mask", output}, 1, "is both");
  fails({"--drop", "0.5", "--mask", folder / "no/m.png"}, 1, "does not exist");
  const std::string odd = folder / "photo.png";
  write_png(odd, make_picture(30, 33, 3), {}, true);
  fails({"--downscale", "4"}, 1, "photo.png: is 30x33, and 4 does not divide both: cut it to 28x32 first");
  check_fails(run({"degrade", original, "-o", "-", "--drop", "0.5"}), 1, "needs --mask");
}

TEST_CASE_FIXTURE(Fixture, "denoise takes noise out") {
  const std::string noisy = degraded("noisy.png", {"--noise", "25"});
  const Run result = fit({"denoise", noisy, "--reference", original, "--json"}, "300");
  const nlohmann::json json = json_of(result);
  CHECK(json.at("psnr_restored").get<double>() > json.at("psnr_degraded").get<double>() + 3);
  CHECK(json.at("output") == folder / "noisy.denoised.png");
  CHECK(psnr(read_image(folder / "noisy.denoised.png").image, picture) ==
        doctest::Approx(json.at("psnr_restored").get<double>()));
  CHECK(result.err.find(": denoised in ") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "denoise learns, unless an option of another method is given") {
  const std::string noisy = degraded("noisy.png", {"--noise", "25"}), output = folder / "out.png";
  const auto with = [&](const std::vector<std::string>& options) {
    std::vector<std::string> arguments{"denoise", noisy, "-o", output, "--reference", original, "--json", "--force"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(arguments);
  };
  const auto method_of = [&](const std::vector<std::string>& options) { return json_of(with(options)); };
  const nlohmann::json filtered = method_of({"--fast"});
  CHECK(filtered.at("method") == "filter");
  CHECK(filtered.at("psnr_restored").get<double>() > filtered.at("psnr_degraded").get<double>() + 6);

  const Run run_of_lesson = with({"--lessons", "20", "--threads", "1"});
  const nlohmann::json learned = json_of(run_of_lesson);
  CHECK(learned.at("method") == "learn");
  CHECK(learned.at("iterations") == 20);
  CHECK(learned.at("weight").get<double>() > 0.2);
  CHECK(learned.at("psnr_restored").get<double>() > filtered.at("psnr_restored").get<double>() + 0.05);
  CHECK_CONTAINS(run_of_lesson.err, "(the filter, and 20 iterations of learning)");
  const std::vector<float> pixels = read_image(output).image.pixels;
  method_of({"--lessons", "20", "--threads", "1"});
  CHECK(read_image(output).image.pixels == pixels);
  // How much noise there is counts.
  method_of({"--lessons", "20", "--threads", "1", "--sigma", "10"});
  CHECK(read_image(output).image.pixels != pixels);

  CHECK(method_of({"--sigma", "25", "--lessons", "0"}).at("method") == "learn");
  CHECK(method_of({"--model", "small", "--iterations", "2"}).at("method") == "fit");
  CHECK(method_of({"--method", "fit", "--model", "small", "--iterations", "2"}).at("method") == "fit");
  check_fails(run({"denoise", noisy, "-o", folder / "x.png", "--method", "filter", "--iterations", "2"}), 1,
              "--iterations: belongs to --method fit");
  check_fails(run({"denoise", noisy, "-o", folder / "x.png", "--fast", "--lessons", "2"}), 1,
              "--lessons: belongs to --method learn");
  const std::string flat = folder / "flat.png";
  write_png(flat, Image(40, 40, 3), {}, true);
  check_fails(run({"denoise", flat, "-o", folder / "x.png"}), 1,
              "flat.png: no noise is to be seen in it; --sigma says how much there is");
  // Too small to be learned from, it is filtered.
  const std::string small = folder / "small.png";
  write_png(small, crop(read_image(noisy).image, 0, 0, 60, 50), {}, true);
  const Run of_small = run({"denoise", small, "-o", output, "--sigma", "25", "--json", "--force"});
  CHECK(json_of(of_small).at("iterations") == 0);
  CHECK_CONTAINS(of_small.err, "small.png: nothing is learned: the photograph is smaller than 64x64");
  const std::vector<float> of_lesson = read_image(output).image.pixels;
  REQUIRE(run({"denoise", small, "-o", output, "--sigma", "25", "--fast", "--force"}).exit_code == 0);
  CHECK(read_image(output).image.pixels == of_lesson);
}

TEST_CASE_FIXTURE(Fixture, "inpaint fills holes and leaves the rest alone") {
  const std::string holes = degraded("holes.png", {"--drop", "0.5", "--mask", folder / "mask.png"});
  const std::string filled = folder / "holes.filled.png", mask = folder / "mask.png";
  const nlohmann::json json =
      json_of(fit({"inpaint", holes, "--mask", mask, "--reference", original, "--json"}, "300"));
  CHECK(json.at("psnr_restored").get<double>() > json.at("psnr_degraded").get<double>() + 10);
  const Image result = read_image(filled).image, kept = read_image(mask).image;
  int64_t changed = 0;
  for (std::size_t i = 0; i < result.pixels.size(); ++i) {
    if (kept.pixels[i % kept.pixels.size()] > 0 && result.pixels[i] != picture.pixels[i]) ++changed;
  }
  CHECK(changed == 0);

  // What stands in the holes does not matter, nor does it that a mask has three channels.
  Image other = read_image(holes).image;
  for (std::size_t i = 0; i < other.pixels.size(); ++i) {
    if (kept.pixels[i % kept.pixels.size()] == 0) other.pixels[i] = 0.7F;
  }
  write_png(folder / "other.png", other, {}, true);
  write_png(folder / "rgb.png", gray_to_rgb(kept), {}, true);
  REQUIRE(fit({"inpaint", holes, "--mask", mask, "--force"}, "3").exit_code == 0);
  REQUIRE(fit({"inpaint", folder / "other.png", "--mask", folder / "rgb.png"}, "3").exit_code == 0);
  const bool same = read_image(filled).image.pixels == read_image(folder / "other.filled.png").image.pixels;
  CHECK(same);
  REQUIRE(fit({"inpaint", holes, "--mask", mask, "--redraw", "-o", folder / "drawn.png"}, "3").exit_code == 0);
  const bool redrawn = read_image(filled).image.pixels != read_image(folder / "drawn.png").image.pixels;
  CHECK(redrawn);
}

TEST_CASE_FIXTURE(Fixture, "the paper's network for large holes") {
  write_png(original, make_picture(200, 192, 3), {}, true);
  const std::string holes = degraded("holes.png", {"--drop", "0.5"});
  const std::vector<std::string> arguments{"inpaint",       holes,    "--mask",       folder / "holes.mask.png",
                                           "--large-holes", "--json", "--iterations", "1"};
  const nlohmann::json json = json_of(run(arguments));
  CHECK(json.at("model") == "inpaint-large");
  CHECK(json.at("iterations") == 1);
}

TEST_CASE_FIXTURE(Fixture, "upscale makes a large image of a small one") {
  const std::string small = degraded("small.png", {"--downscale", "2"});
  Metadata metadata;
  metadata.density = PixelDensity{.x = 3000, .y = 4000, .per_metre = true};
  write_png(small, read_image(small).image, {.metadata = &metadata}, true);
  const std::string large = folder / "small.upscaled.png";
  for (const int factor : {2, 4, 8}) {
    CAPTURE(factor);
    const nlohmann::json json =
        json_of(fit({"upscale", small, "--factor", std::to_string(factor), "--force", "--json"}));
    CHECK(json.at("factor") == factor);
    const DecodedImage result = read_image(large);
    CHECK(result.image.width == 48 * factor);
    CHECK(result.image.height == 48 * factor);
    REQUIRE(result.metadata.density);
    CHECK(result.metadata.density->x == doctest::Approx(3000 * factor));
    CHECK(result.metadata.density->y == doctest::Approx(4000 * factor));
  }
  const nlohmann::json json =
      json_of(fit({"upscale", small, "--factor", "2", "--reference", original, "--force", "--json"}, "300"));
  const Image bicubic = upsample_bicubic(read_image(small).image, 2);
  CHECK(json.at("psnr_degraded").get<double>() == doctest::Approx(psnr(bicubic, picture)).epsilon(1e-2));
  CHECK(json.at("psnr_restored").get<double>() > 20);
  check_fails(fit({"upscale", small, "--factor", "4", "--reference", original, "--force"}), 1,
              "photo.png: is 96x96, the result will be 192x192");
  check_fails(fit({"upscale", small, "--factor", "3"}), 2, "--factor");
}

TEST_CASE_FIXTURE(Fixture, "what is optimized, and what the network starts from") {
  int count = 0;
  const auto denoised = [&](const std::vector<std::string>& options) {
    const std::string output = folder / (std::to_string(count++) + ".png");
    std::vector<std::string> arguments{"denoise", original, "-o", output};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Run result = fit(arguments, "6");
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    return read_file(output);
  };
  const std::vector<uint8_t> plain = denoised({});
  const bool net_is_default = denoised({"--optimize", "net"}) == plain;
  CHECK(net_is_default);
  const std::vector<std::vector<std::string>> variations{
      {"--optimize", "input"}, {"--optimize", "net,input"}, {"--input", "meshgrid"}, {"--distribution", "normal"}};
  for (const auto& options : variations) {
    CAPTURE(options[1]);
    const bool differs = denoised(options) != plain;
    CHECK(differs);
  }
  const std::string net = folder / "net.onnx", output = folder / "out.png";
  REQUIRE(run({"model", "make", "--channels", "4,8", "--depth", "3", "-o", net}).exit_code == 0);
  check_fails(fit({"denoise", original, "-o", output, "--input", "meshgrid", "--model", net}), 1,
              "net.onnx: its input has 3 channels, and --input meshgrid has two");
  check_fails(fit({"denoise", original, "-o", output, "--optimize", "loss"}), 2, "--optimize");
}

TEST_CASE_FIXTURE(Fixture, "unusual PNG files come in as a user expects, or are refused in one line") {
  const std::string input = folder / "in.png", output = folder / "out.png";
  const auto denoised = [&] {
    const Run result = fit({"denoise", input, "-o", output, "--force"});
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    return read_image(output);
  };
  // 16 bits stay 16, unless 8 are asked for.
  write_png(input, picture, {.bit_depth = 16}, true);
  CHECK(denoised().bit_depth == 16);
  REQUIRE(fit({"denoise", input, "-o", output, "--force", "--bit-depth", "8"}).exit_code == 0);
  CHECK(read_image(output).bit_depth == 8);
  REQUIRE(run({"degrade", input, "-o", folder / "noisy.png", "--noise", "25"}).exit_code == 0);
  CHECK(read_image(folder / "noisy.png").bit_depth == 16);

  // A palette is colour.
  std::vector<Bytes> rows(9, Bytes(11, 1));
  const RawPng palette{.color_type = PNG_COLOR_TYPE_PALETTE, .palette = {10, 20, 30, 40, 50, 60}};
  write_file_atomically(input, encode_raw_png(11, 9, rows, palette), true);
  const Image colour = denoised().image;
  CHECK(colour.channels == 3);
  CHECK(colour.width == 11);

  // Alpha: opaque is ignored, transparent pixels are no photograph.
  const RawPng alpha{.color_type = PNG_COLOR_TYPE_RGB_ALPHA};
  rows.assign(9, Bytes(44, 255));
  write_file_atomically(input, encode_raw_png(11, 9, rows, alpha), true);
  CHECK(denoised().image.channels == 3);
  rows[4][7] = 100;
  write_file_atomically(input, encode_raw_png(11, 9, rows, alpha), true);
  const Run refused = fit({"denoise", input, "-o", output, "--force"});
  check_fails(refused, 1, "in.png: ");
  CHECK(std::count(refused.err.begin(), refused.err.end(), '\n') == 1);
}

TEST_CASE_FIXTURE(Fixture, "a mask that does not suit is refused") {
  const std::string mask = folder / "mask.png";
  const auto fails = [&](const std::string& text) {
    check_fails(fit({"inpaint", original, "--mask", mask}), 1, text);
    CHECK(folder.names() == std::vector<std::string>{"mask.png", "photo.png"});
  };
  Image image(96, 95, 1);
  write_png(mask, image, {}, true);
  fails("mask.png: is 96x95, the image 96x96: a mask must have the image's size");
  image = Image(96, 96, 1);
  write_png(mask, image, {}, true);
  fails("mask.png: is black everywhere");
  for (float& value : image.pixels) value = 1;
  write_png(mask, image, {}, true);
  fails("mask.png: is white everywhere");
  check_fails(run({"inpaint", original}), 2, "--mask is required");
  check_fails(fit({"inpaint", original, "--mask", folder / "none.png"}), 1, "none.png: no such file");
}

}  // namespace hourglass::test
