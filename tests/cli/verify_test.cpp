#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "engine/image/file.h"
#include "engine/image/image.h"
#include "engine/image/jpeg.h"
#include "engine/image/png.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {

TEST_CASE("a JPEG verifies against its original, not against another image") {
  const std::string jpeg = data_path("chelsea_q10.jpg");
  const auto share = [&](const std::string& image) {
    const Run result = run({"verify", jpeg, image, "--json"});
    const auto json = nlohmann::json::parse(result.out);
    REQUIRE(result.exit_code == (json.at("agrees") == true ? 0 : 5));
    CHECK(json.at("same").get<int64_t>() <= json.at("coefficients").get<int64_t>());
    return json.at("share").get<double>();
  };
  // The encoder rounded samples and worked with integers; all but the border cases agree.
  CHECK(share(data_path("chelsea.png")) > 0.999);
  const TemporaryFolder folder;
  Image black = read_image(jpeg).image;
  std::fill(black.pixels.begin(), black.pixels.end(), 0.0F);
  write_png(folder / "black.png", black, {}, false);
  CHECK(share(folder / "black.png") < 0.97);
  const Run yes = run({"verify", jpeg, data_path("chelsea.png")});
  CHECK(yes.exit_code == 0);
  CHECK_CONTAINS(yes.out, "yes: " + jpeg + " can be a JPEG of this image: ");
  CHECK_CONTAINS(yes.out, "come out of the image too, and the others miss by at most ");
  CHECK_CONTAINS(yes.out, ", counted before quantization; an encoder's rounding explains up to 4");
  CHECK(yes.out.find("(100.000 %)") == std::string::npos);
  const std::string gray = folder / "gray.jpg";
  REQUIRE(run({"degrade", folder / "black.png", "-o", gray, "--quality", "50"}).exit_code == 0);
  CHECK_CONTAINS(run({"verify", gray, folder / "black.png"}).out, "image: each of the ");
  const Run no = run({"verify", jpeg, folder / "black.png"});
  CHECK(no.exit_code == 5);
  CHECK_CONTAINS(no.out, "no: " + jpeg + " is no JPEG of this image: ");
  CHECK_CONTAINS(no.out, "come out of the image too, but one misses by as much as ");
}

TEST_CASE("what misses by hardly more than rounding explains is told with more") {
  const TemporaryFolder folder;
  const std::string jpeg = folder / "x.jpg", image = folder / "x.png";
  Image picture(8, 8, 1);
  std::fill(picture.pixels.begin(), picture.pixels.end(), 128.0F / 255);
  write_file_atomically(jpeg, encode_jpeg(picture, {.quality = 81}), false);  // of the mean, the step is 6
  // The mean's coefficient is eight times as far from 128: 7.0039, and its cell ends at 3.
  std::fill(picture.pixels.begin(), picture.pixels.end(), (128.0F + 225.0F / 257) / 255);
  write_file_atomically(image, encode_png(picture, {.bit_depth = 16}), false);
  const Run result = run({"verify", jpeg, image});
  CHECK(result.exit_code == 5);
  CHECK_CONTAINS(result.out, "(98.437 %) come out of the image too, but one misses by as much as 4.01, counted before");
}

TEST_CASE("what an encoder that prefers zeros may have made is told of") {
  const TemporaryFolder folder;
  const std::string jpeg = folder / "flat.jpg", image = folder / "wave.png";
  constexpr int kStep = 28;  // of the wave, at quality 20
  Image picture(8, 8, 1);
  std::fill(picture.pixels.begin(), picture.pixels.end(), 128.0F / 255);
  write_file_atomically(jpeg, encode_jpeg(picture, {.quality = 20}), false);
  for (const auto& [steps, is_told] : {std::pair{0.7, true}, {1.3, false}}) {
    const auto& this_steps = steps;
    CAPTURE(this_steps);
    // The DCT's vector for the frequency (0, 1) is cos((2 x + 1) pi / 16) / (4 sqrt(2)).
    for (int64_t y = 0; y < 8; ++y) {
      for (int64_t x = 0; x < 8; ++x) {
        const double wave =
            std::cos(static_cast<double>(2 * x + 1) * std::numbers::pi / 16) / (4 * std::numbers::sqrt2);
        picture.at(0, y, x) = static_cast<float>((128 + steps * kStep * wave) / 255);
      }
    }
    write_file_atomically(image, encode_png(picture, {.bit_depth = 16}), true);
    const Run result = run({"verify", jpeg, image});
    CAPTURE(result.out);
    CHECK(result.exit_code == 5);
    CHECK(contains(result.out, "it is zero in the file and less than a step in the image") == is_told);
  }
}

TEST_CASE("an original is told from a picture that differs by little, at all qualities") {
  const TemporaryFolder folder;
  const Image original = read_image(data_path("chelsea.png")).image;
  for (const Subsampling subsampling : {Subsampling::s420, Subsampling::s444}) {
    for (const int quality : {10, 50, 75, 90, 95, 100}) {
      CAPTURE(quality);
      const std::string jpeg = folder / "x.jpg", same = data_path("chelsea.png"), other = folder / "other.png";
      write_file_atomically(jpeg, encode_jpeg(original, {.quality = quality, .subsampling = subsampling}), true);
      const Run yes = run({"verify", jpeg, same, "--json"});
      CAPTURE(yes.out);
      CHECK(yes.exit_code == 0);
      // A chessboard on one block.
      Image spoiled = original;
      for (int64_t y = 96; y < 104; ++y) {
        for (int64_t x = 96; x < 104; ++x) {
          float& value = spoiled.pixels[static_cast<std::size_t>(spoiled.plane_size() + y * spoiled.width + x)];
          value += (x + y) % 2 == 0 ? -0.2F : 0.2F;
        }
      }
      write_png(other, spoiled, {}, true);
      const Run no = run({"verify", jpeg, other, "--json"});
      CAPTURE(no.out);
      CHECK(no.exit_code == 5);
    }
  }
}

TEST_CASE("coefficients whose step is zero in the file don't count, and that is said") {
  const TemporaryFolder folder;
  const Image picture = make_picture(32, 24, 1);
  write_png(folder / "original.png", picture, {}, false);
  Bytes bytes = encode_jpeg(picture, {.quality = 50});
  std::size_t table = 0;
  while (!(bytes[table] == 0xff && bytes[table + 1] == 0xdb)) ++table;
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(table) + 5 + 54, 10, uint8_t{0});
  write_file_atomically(folder / "zeros.jpg", bytes, false);
  const Run result = run({"verify", folder / "zeros.jpg", folder / "original.png", "--json"});
  REQUIRE(result.exit_code == 0);
  CHECK_CONTAINS(result.err, "zeros.jpg: its quantization tables hold 10 zeros");
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("coefficients") == 32 * 24 - 12 * 10);
  CHECK(json.at("share").get<double>() > 0.98);
  const Run restored = run({"restore", folder / "zeros.jpg", "--fast", "--json"});
  CHECK_CONTAINS(restored.err, "hold 10 zeros");
  CHECK(nlohmann::json::parse(last_line(restored.out)).at("cells_rounded").get<double>() > 0.99);
}

TEST_CASE("what cannot be verified") {
  check_fails(run({"verify", data_path("chelsea.png"), data_path("chelsea.png")}), 1, "not a JPEG");
  check_fails(run({"verify", data_path("chelsea_q10.jpg"), data_path("camera.png")}), 1, "differ in size");
}

}  // namespace hourglass::test
