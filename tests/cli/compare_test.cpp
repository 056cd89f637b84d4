#include <algorithm>
#include <cmath>
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

TEST_CASE("compare prints the metrics") {
  const std::string a = data_path("chelsea.png"), b = data_path("chelsea_q10.jpg");
  const Likeness expected = compare(read_image(b).image, read_image(a).image);
  const Run text = run({"compare", a, b});
  CHECK(text.exit_code == 0);
  CHECK(text.err.empty());
  CHECK(text.out == "PSNR    28.467 dB\nPSNR-Y  29.974 dB\nPSNR-B  27.168 dB\nSSIM    0.78410\n");

  const Run json = run({"compare", a, b, "--json"});
  CHECK(json.exit_code == 0);
  const auto values = nlohmann::json::parse(json.out);
  CHECK(values.size() == 5);
  CHECK(values.at("event") == "result");
  CHECK(values.at("psnr").get<double>() == doctest::Approx(expected.psnr));
  CHECK(values.at("psnr_y").get<double>() == doctest::Approx(expected.psnr_y));
  CHECK(values.at("psnr_b").get<double>() == doctest::Approx(expected.psnr_b));
  CHECK(values.at("ssim").get<double>() == doctest::Approx(expected.ssim));
  // The second image is the judged one: the blocks of the JPEG count only there.
  const auto swapped = nlohmann::json::parse(run({"compare", b, a, "--json"}).out);
  CHECK(swapped.at("psnr_b").get<double>() > values.at("psnr_b").get<double>() + 1);
}

TEST_CASE("identical images have an infinite PSNR: inf, null in JSON") {
  const std::string image = data_path("coffee.png");
  CHECK(run({"compare", image, image}).out.rfind("PSNR    inf dB\nPSNR-Y  inf dB\n", 0) == 0);
  const auto values = nlohmann::json::parse(run({"compare", image, image, "--json"}).out);
  CHECK(values.at("psnr").is_null());
  CHECK(values.at("psnr_y").is_null());
  CHECK(values.at("ssim").get<double>() == doctest::Approx(1));
}

TEST_CASE("gray against RGB, PNG against JPEG, standard input") {
  const TemporaryFolder folder;
  const Image gray = read_image(data_path("camera.png")).image;
  write_png(folder / "rgb.png", gray_to_rgb(gray), {}, false);
  const auto same = nlohmann::json::parse(run({"compare", data_path("camera.png"), folder / "rgb.png", "--json"}).out);
  CHECK(same.at("psnr").is_null());
  write_file_atomically(folder / "gray.jpg", encode_jpeg(gray, {.quality = 90}), false);
  const auto mixed = nlohmann::json::parse(run({"compare", folder / "rgb.png", folder / "gray.jpg", "--json"}).out);
  CHECK(mixed.at("psnr").get<double>() > 35);
  const Run piped = run({"compare", folder / "rgb.png", "-", "--json"}, folder / "gray.jpg");
  CHECK(nlohmann::json::parse(piped.out) == mixed);
}

TEST_CASE("images that lie otherwise in their files are compared as they are to be seen") {
  const TemporaryFolder folder;
  const Image picture = make_picture(40, 24, 3);
  const auto save = [&](const std::string& name, int orientation, const Image& image) {
    Metadata metadata;
    metadata.exif = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, static_cast<uint8_t>(orientation),
                     0,   0,   0,  0, 0, 0, 0};
    write_png(folder / name, image, {.metadata = &metadata}, true);
  };
  write_png(folder / "plain.png", picture, {}, false);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    // Stored so that it is seen as the plain one: six and eight are each other's inverse.
    save("turned.png", orientation, upright(picture, orientation == 6 ? 8 : orientation == 8 ? 6 : orientation));
    for (const auto& [a, b] : {std::pair{"plain.png", "turned.png"}, {"turned.png", "plain.png"}}) {
      const Run result = run({"compare", folder / a, folder / b, "--json"});
      REQUIRE(result.exit_code == 0);
      CHECK(nlohmann::json::parse(result.out).at("psnr").is_null());
      CHECK(std::count(result.err.begin(), result.err.end(), '\n') == (orientation == 1 ? 0 : 1));
      if (orientation > 1) CHECK_CONTAINS(result.err, folder / a + ": turned like " + folder / b);
    }
    // Both the same: nothing to say.
    CHECK(run({"compare", folder / "turned.png", folder / "turned.png"}).err.empty());
  }
}

TEST_CASE("what cannot be compared") {
  const TemporaryFolder folder;
  const std::string image = data_path("camera.png");
  check_fails(run({"compare", image, data_path("coffee.png")}), 1, "is 128x128");
  check_fails(run({"compare", image, folder / "missing.png"}), 1, "missing.png: no such file");
  check_fails(run({"compare", image, folder.string()}), 1, "is a folder");
  check_fails(run({"compare", image, "-"}), 1, "standard input: is empty");
  std::ofstream(folder / "text.png") << "no image";
  check_fails(run({"compare", folder / "text.png", image}), 1, "text.png: is neither a JPEG nor a PNG file");
  auto bytes = read_file(data_path("chelsea_q10.jpg"));
  bytes.resize(bytes.size() / 2);
  write_file_atomically(folder / "cut.jpg", bytes, false);
  check_fails(run({"compare", data_path("chelsea.png"), folder / "cut.jpg"}), 1, "cut.jpg: the JPEG is truncated");
}

}  // namespace hourglass::test
