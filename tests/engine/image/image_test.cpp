#include "engine/image/image.h"

#include <cmath>
#include <limits>

#include "tests/engine/image/fixtures.h"

namespace hourglass::test {

TEST_CASE("luma is BT.601 as JFIF has it") {
  Image image(2, 1, 3);
  image.pixels = {1, 0.5F, 0, 0.25F, 0, 1};
  const Image gray = to_gray(image);
  CHECK(gray.channels == 1);
  CHECK(gray.pixels[0] == doctest::Approx(0.299));
  CHECK(gray.pixels[1] == doctest::Approx(0.299 * 0.5 + 0.587 * 0.25 + 0.114));
  CHECK(to_gray(gray).pixels == gray.pixels);
}

TEST_CASE("gray becomes three equal planes") {
  const Image gray = make_picture(5, 3, 1);
  const Image rgb = gray_to_rgb(gray);
  REQUIRE(rgb.channels == 3);
  for (int c = 0; c < 3; ++c)
    for (int64_t i = 0; i < gray.plane_size(); ++i) CHECK(rgb.plane(c)[i] == gray.pixels[static_cast<std::size_t>(i)]);
  CHECK(largest_difference(to_gray(rgb), gray) < 1e-6);
}

TEST_CASE("crop takes the rectangle and nothing outside of the image") {
  const Image image = make_picture(11, 7, 3);
  const Image part = crop(image, 3, 2, 5, 4);
  CHECK(part.width == 5);
  CHECK(part.height == 4);
  for (int c = 0; c < 3; ++c) CHECK(part.at(c, 3, 4) == image.at(c, 5, 7));
  CHECK(crop(image, 0, 0, 11, 7).pixels == image.pixels);
  CHECK_CONTAINS(error_of([&] { crop(image, 7, 0, 5, 7); }), "5x7 at (7, 0) leaves the image, which is 11x7");
  CHECK_THROWS_AS(crop(image, -1, 0, 2, 2), Error);
  CHECK_THROWS_AS(crop(image, 0, 0, 0, 2), Error);
}

TEST_CASE("clamping and rounding to codes") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  Image image(6, 1, 1);
  image.pixels = {-0.1F, 1.5F, nan, 0.25F, infinity, -infinity};
  clamp(image);
  CHECK(image.pixels == std::vector<float>{0, 1, 0, 0.25F, 1, 0});
  for (int code = 0; code < 256; ++code) {
    CHECK(to_byte(static_cast<float>(code) / 255.0F) == code);
    CHECK(to_byte((static_cast<float>(code) + 0.49F) / 255.0F) == code);
  }
  for (int code = 0; code < 65536; ++code) REQUIRE(to_word(static_cast<float>(code) / 65535.0F) == code);
  CHECK(to_byte(nan) == 0);
  CHECK(to_word(nan) == 0);
  CHECK(to_byte(2) == 255);
  CHECK(to_word(-1) == 0);
}

}  // namespace hourglass::test
