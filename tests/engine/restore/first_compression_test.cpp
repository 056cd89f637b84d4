#include "engine/restore/first_compression.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

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

  Twice(bool gray, int first_quality, int second_quality, int64_t y, int64_t x,
        Subsampling subsampling = Subsampling::s420) {
    const Image photo = photograph(gray);
    const std::vector<uint8_t> bytes = encode_jpeg(photo, {.quality = first_quality, .subsampling = subsampling});
    first = read_jpeg_coefficients(bytes);
    const auto cut = [&](const Image& image) { return part_of(image, y, x, image.height - y, image.width - x); };
    original = cut(photo);
    const std::vector<uint8_t> again =
        encode_jpeg(cut(decode_jpeg(bytes).image), {.quality = second_quality, .subsampling = subsampling});
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
        // The first grid's blocks; of 4:2:0, where it was cut off by even numbers, MCUs of 16 x 16 pixels, but where
        // so small a picture's chroma has too few coefficients.
        const bool whole = found->file.components.size() == 3;
        CHECK((whole ? !gray && x % 2 == 0 : gray || x % 2 != 0 || first < 50));
        CHECK((found->y + y) % (whole ? 16 : 8) == 0);
        CHECK((found->x + x) % (whole ? 16 : 8) == 0);
        // High frequencies may have nothing but zeros, which say nothing of their steps.
        CHECK(std::abs(found->quality - first) <= 1);
        for (std::size_t i = 0; i < found->file.components.size(); ++i) {
          const JpegComponent& component = found->file.components[i];
          const JpegComponent& expected = twice.first.components[i];
          CHECK(component.quantization[1] == expected.quantization[1]);
          const int64_t size = i == 0 || gray ? 8 : 16;
          int64_t same = 0, all = 0;
          for (int64_t r = 0; r < component.height_in_blocks; ++r) {
            for (int64_t c = 0; c < component.width_in_blocks; ++c) {
              const int16_t* block = expected.block(r + (found->y + y) / size, c + (found->x + x) / size);
              for (int f = 0; f < 64; ++f) same += component.block(r, c)[f] == block[f] ? 1 : 0;
              all += 64;
            }
          }
          CHECK(static_cast<double>(same) > (i == 0 ? 0.99 : 0.97) * static_cast<double>(all));
        }
      }
    }
  }
}

TEST_CASE("chroma is found where it is not sampled too, and left where it can't be told") {
  const auto components = [](Subsampling subsampling, int64_t y, int64_t x) {
    const auto found = find_first_compression(*Twice(false, 50, 90, y, x, subsampling).second.jpeg);
    REQUIRE(found);
    CHECK((found->y + y) % 8 == 0);
    CHECK((found->x + x) % 8 == 0);
    return found->file.components.size();
  };
  CHECK(components(Subsampling::s444, 3, 5) == 3);
  CHECK(components(Subsampling::s444, 4, 4) == 3);
  CHECK(components(Subsampling::s422, 4, 4) == 1);
  CHECK(components(Subsampling::s440, 4, 4) == 1);
  CHECK(components(Subsampling::s420, 3, 5) == 1);
}

TEST_CASE("strips that are lower than an MCU are restored from their first compression as far as it reaches") {
  const Image photo = photograph(false);
  for (const int64_t height : {8, 9, 15, 17, 23, 24, 31}) {
    CAPTURE(height);
    // Wide enough for what is looked for: rows of the photograph side by side.
    const int64_t parts = photo.height / height;
    Image wide(photo.width * parts, height, 3);
    for (int64_t part = 0; part < parts; ++part) {
      for (int c = 0; c < 3; ++c) {
        for (int64_t row = 0; row < height; ++row) {
          std::copy_n(photo.plane(c) + (part * height + row) * photo.width, photo.width,
                      wide.plane(c) + row * wide.width + part * photo.width);
        }
      }
    }
    const Image once = decode_jpeg(encode_jpeg(wide, {.quality = 40})).image;
    const std::vector<uint8_t> bytes = encode_jpeg(part_of(once, 0, 4, once.height, once.width - 4), {.quality = 90});
    RestoreInput input{.degraded = decode_jpeg(bytes), .jpeg = read_jpeg_coefficients(bytes), .first = {}};
    input.first = find_first_compression(*input.jpeg);
    REQUIRE(input.first);
    CHECK(input.first->file.width >= 8);
    CHECK(input.first->file.height >= 8);
    const auto finished = make_jpeg_task(input, {})->filter(255, {});
    CHECK(finished->image.width == once.width - 4);
    CHECK(finished->image.height == height);
  }
}

TEST_CASE("without strength, what was compressed twice stays as it is") {
  Twice twice(false, 10, 30, 4, 4);
  twice.second.first = find_first_compression(*twice.second.jpeg);
  REQUIRE(twice.second.first);
  const Image result = make_jpeg_task(twice.second, {.strength = 0})->filter(255, {})->image;
  CHECK(result.pixels == twice.second.degraded.image.pixels);
}

TEST_CASE("a first table with some smaller steps says nothing") {
  // As if an encoder had kept low frequencies and dropped high ones.
  JpegCoefficients file = *Twice(true, 30, 75, 4, 4).second.jpeg;
  REQUIRE(find_first_compression(file));
  file.components[0].quantization[63] = 300;
  CHECK_FALSE(find_first_compression(file));
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
  uint32_t random = 1;
  for (int64_t i = 0; i < 256 * 256; ++i) {
    random = random * 1664525 + 1013904223;
    noise.pixels[static_cast<std::size_t>(i)] = static_cast<float>(random >> 24) / 255;
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
    CHECK(twice.filtered() > once + 0.5);

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
