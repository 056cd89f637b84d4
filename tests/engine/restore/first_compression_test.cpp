#include "engine/restore/first_compression.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/jpeg_task.h"

namespace hourglass::test {
namespace {

Image part_of(const Image& image, int64_t y, int64_t x, int64_t height, int64_t width) {
  Image part(width, height, image.channels);
  for (int c = 0; c < image.channels; ++c) {
    for (int64_t row = 0; row < height; ++row) {
      std::copy_n(image.plane(c) + (y + row) * image.width + x, width, part.plane(c) + row * width);
    }
  }
  return part;
}

Image photograph(bool gray) {
  const Image photo = read_image(HOURGLASS_TEST_DATA "/images/astronaut.png").image;
  return gray ? to_gray(photo) : photo;
}

// A photograph that was compressed, cut off at the left and above, and compressed again.
struct Twice {
  Image original;
  JpegCoefficients first;
  RestoreInput second;

  Twice(bool gray, int first_quality, int second_quality, int64_t y, int64_t x) {
    const Image photo = photograph(gray);
    const std::vector<uint8_t> bytes = encode_jpeg(photo, {.quality = first_quality});
    first = read_jpeg_coefficients(bytes);
    const auto cut = [&](const Image& image) { return part_of(image, y, x, image.height - y, image.width - x); };
    original = cut(photo);
    const std::vector<uint8_t> again = encode_jpeg(cut(decode_jpeg(bytes).image), {.quality = second_quality});
    second.degraded = decode_jpeg(again);
    second.jpeg = read_jpeg_coefficients(again);
  }

  [[nodiscard]] double filtered() const { return psnr(make_jpeg_task(second, {})->filter(255, {})->image, original); }
};

bool found_in(const Image& image, int quality) {
  return find_first_compression(read_jpeg_coefficients(encode_jpeg(image, {.quality = quality}))).has_value();
}

}  // namespace

TEST_CASE("of a picture that was compressed twice, the first grid, table and integers are found") {
  for (const bool gray : {true, false}) {
    for (const auto& [first, second] : {std::pair{10, 30}, {30, 75}, {50, 90}, {75, 95}}) {
      for (const auto& [y, x] : {std::pair{4, 4}, {2, 5}, {0, 0}, {0, 7}}) {
        const std::string which = fmt::format("{} {} {} {} {}", gray, first, second, y, x);
        CAPTURE(which);
        const Twice twice(gray, first, second, y, x);
        const auto found = find_first_compression(*twice.second.jpeg);
        REQUIRE(found);
        CHECK(found->y == (8 - y) % 8);
        CHECK(found->x == (8 - x) % 8);
        const JpegComponent& luma = found->luma.components[0];
        // High frequencies may have nothing but zeros, which say nothing of their steps.
        CHECK(std::abs(found->quality - first) <= 1);
        CHECK(luma.quantization[1] == twice.first.components[0].quantization[1]);
        int64_t same = 0, all = 0;
        for (int64_t r = 0; r < luma.height_in_blocks; ++r) {
          for (int64_t c = 0; c < luma.width_in_blocks; ++c) {
            const int16_t* expected = twice.first.components[0].block(r + (y > 0 ? 1 : 0), c + (x > 0 ? 1 : 0));
            for (int f = 0; f < 64; ++f) same += luma.block(r, c)[f] == expected[f] ? 1 : 0;
            all += 64;
          }
        }
        CHECK(static_cast<double>(same) > 0.99 * static_cast<double>(all));
      }
    }
  }
}

TEST_CASE("what was compressed once has no first compression, nor has one whose second steps are the larger ones") {
  for (const bool gray : {true, false}) {
    for (const int quality : {3, 10, 20, 30, 40, 50, 60, 75, 85, 95}) {
      CAPTURE(gray);
      CAPTURE(quality);
      CHECK_FALSE(found_in(photograph(gray), quality));
    }
    CHECK_FALSE(find_first_compression(*Twice(gray, 75, 30, 4, 4).second.jpeg));
    CHECK_FALSE(find_first_compression(*Twice(gray, 40, 40, 3, 3).second.jpeg));
  }
  // Pictures that say little, or much that means nothing.
  CHECK_FALSE(found_in(Image(64, 64, 1), 50));
  CHECK_FALSE(found_in(Image(5, 3, 3), 50));
  Image noise(256, 256, 1), stripes(256, 256, 1), tiles(256, 256, 1);
  for (int64_t i = 0; i < 256 * 256; ++i) {
    noise.pixels[static_cast<std::size_t>(i)] = static_cast<float>(i * i * 2654435761 / 65536 % 256) / 255;
    stripes.pixels[static_cast<std::size_t>(i)] = i % 256 / 4 % 2 == 0 ? 0.2F : 0.8F;
    tiles.pixels[static_cast<std::size_t>(i)] = (i / 256 / 3 + i % 256 / 5) % 2 == 0 ? 0.1F : 0.8F;
  }
  for (const int quality : {10, 50, 90}) {
    CHECK_FALSE(found_in(noise, quality));
    CHECK_FALSE(found_in(stripes, quality));
    CHECK_FALSE(found_in(tiles, quality));
  }
}

TEST_CASE("the filter goes by the first compression, within what the second file gives") {
  for (const bool gray : {true, false}) {
    Twice twice(gray, 10, 30, 4, 4);
    const double once = twice.filtered();
    CAPTURE(gray);
    CAPTURE(psnr(twice.second.degraded.image, twice.original));
    twice.second.first = find_first_compression(*twice.second.jpeg);
    REQUIRE(twice.second.first);
    CHECK(twice.filtered() > once + (gray ? 0.5 : 0.2));

    // Ended early, all of it is still a picture.
    int calls = 0;
    const auto task = make_jpeg_task(twice.second, {});
    const auto ended = task->filter(255, [&](double) { return ++calls < 3; });
    REQUIRE(ended);
    CHECK(psnr(ended->image, twice.second.degraded.image) > 25);
    double last = 0;
    const auto finished = task->filter(255, [&](double done) {
      CHECK(done >= last);
      last = done;
      return true;
    });
    CHECK(last == 1);
    CHECK_FALSE(finished->cells);
    for (const float value : finished->image.pixels) CHECK(std::round(value * 255) == doctest::Approx(value * 255));
  }
}

}  // namespace hourglass::test
