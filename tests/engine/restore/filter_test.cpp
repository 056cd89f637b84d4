#include "engine/restore/filter.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "engine/image/jpeg.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/consistency.h"
#include "engine/restore/first_compression.h"
#include "engine/restore/jpeg_part.h"
#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/tiles.h"
#include "graph/error.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

// A part of a photograph, its JPEG, and the filter's results.
struct Sample {
  Image original;
  JpegCoefficients file;
  Image decoded;

  Sample(int64_t width, int64_t height, bool gray, int quality) : original(width, height, 3) {
    const Image photo = read_image(HOURGLASS_TEST_DATA "/images/astronaut.png").image;
    REQUIRE(photo.width >= 30 + width);
    REQUIRE(photo.height >= 20 + height);
    for (int c = 0; c < 3; ++c) {
      for (int64_t y = 0; y < height; ++y) {
        std::copy_n(photo.plane(c) + (y + 20) * photo.width + 30, width, original.plane(c) + y * width);
      }
    }
    if (gray) original = to_gray(original);
    const std::vector<uint8_t> bytes = encode_jpeg(original, {.quality = quality});
    file = read_jpeg_coefficients(bytes);
    decoded = decode_jpeg(bytes).image;
  }

  [[nodiscard]] Image filtered(const FilterOptions& options = {}, const Advance& advance = {}) const {
    return filter_jpeg(decoded, decoded, JpegModel(file), options, advance);
  }
  [[nodiscard]] double gain(const Image& image) const { return psnr(image, original) - psnr(decoded, original); }
};

}  // namespace

TEST_CASE("the filter brings a JPEG nearer to its original, and leaves it in its cells") {
  for (const bool gray : {true, false}) {
    for (const int quality : {10, 40, 90}) {
      const Sample sample(150, 133, gray, quality);
      const Image filtered = sample.filtered();
      CAPTURE(gray);
      CAPTURE(quality);
      CHECK(sample.gain(filtered) > 0.4);
      // Blocks of 4:2:0 share samples, so that moving the one spoils the other a little.
      CHECK(check_cells(filtered, JpegModel(sample.file)).share() > (gray ? 0.99 : 0.98));
    }
  }
}

TEST_CASE("without the last scans of a progressive file, the filter goes by what was sent") {
  const Sample sample(144, 128, false, 50);
  const std::vector<uint8_t> whole = encode_jpeg(sample.original, {.quality = 50, .progressive = true});
  for (const int scans : {5, 6, 8}) {
    const std::vector<uint8_t> bytes = with_first_scans(whole, scans);
    const Image decoded = decode_jpeg(bytes).image;
    const JpegCoefficients file = read_jpeg_coefficients(bytes);
    JpegCoefficients pretended = file;
    for (JpegComponent& component : pretended.components) component.bits = {};
    const auto filtered = [&](const JpegCoefficients& said) { return filter_jpeg(decoded, decoded, JpegModel(said)); };
    const Image by_sent = filtered(file);
    CAPTURE(scans);
    CHECK(psnr(by_sent, sample.original) > psnr(filtered(pretended), sample.original) + 0.1);
    CHECK(psnr(by_sent, sample.original) > psnr(decoded, sample.original) + 0.3);
    CHECK(check_cells(to_consistent(by_sent, JpegModel(file), 255), JpegModel(file)).share() == 1);
    CHECK(check_cells(sample.original, JpegModel(file)).share() > 0.998);
    CHECK(check_cells(sample.original, JpegModel(pretended)).share() < 0.99);
    CHECK_FALSE(find_first_compression(file).has_value());
  }
}

TEST_CASE("all passes gain more than two, and none leave the JPEG as it is") {
  const Sample sample(150, 133, true, 10);
  CHECK(std::abs(sample.gain(sample.filtered({.passes = 0}))) < 1e-3);
  const double two = sample.gain(sample.filtered({.passes = 2})), all = sample.gain(sample.filtered());
  CHECK(two > 0.3);
  CHECK(all > two + 0.05);
}

TEST_CASE("far too little or too much noise gains less than what is measured") {
  const Sample sample(150, 133, true, 20);
  const double measured = sample.gain(sample.filtered());
  CHECK(measured > sample.gain(sample.filtered({.passes = kFilterPasses, .noise = 1})));
  CHECK(measured > sample.gain(sample.filtered({.passes = kFilterPasses, .noise = 40})));
}

TEST_CASE("the filter tells how far it is, and ends where it is told to") {
  const Sample sample(64, 64, true, 10);
  std::vector<double> told;
  const Image all = sample.filtered({}, [&](double done) {
    told.push_back(done);
    return true;
  });
  CHECK(told.size() >= kFilterPasses);
  CHECK(std::is_sorted(told.begin(), told.end()));
  CHECK(told.front() >= 0);
  CHECK(told.back() <= 1);
  CHECK(all.pixels == sample.filtered().pixels);
  // Half of the passes are a result too; none is the JPEG.
  const Image half = sample.filtered({}, [](double done) { return done < 0.5; });
  CHECK(sample.gain(half) > 0.1);
  CHECK(sample.gain(half) < sample.gain(all));
  CHECK(std::abs(sample.gain(sample.filtered({}, [](double) { return false; }))) < 1e-3);
}

TEST_CASE("threads change no bit of what is filtered") {
  const Sample sample(90, 77, false, 20);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Image one = sample.filtered();
  omp_set_num_threads(3);
  const Image three = sample.filtered();
  omp_set_num_threads(threads);
  CHECK(one.pixels == three.pixels);
}

TEST_CASE("images of any size come back in their size") {
  for (const int64_t side : {1, 5, 8, 9, 17}) {
    const Sample sample(side, 3 * side, false, 30);
    const Image filtered = sample.filtered();
    CAPTURE(side);
    CHECK(filtered.width == side);
    CHECK(filtered.height == 3 * side);
    CHECK(std::all_of(filtered.pixels.begin(), filtered.pixels.end(), [](float x) { return std::isfinite(x); }));
  }
}

TEST_CASE("tile by tile a picture becomes what it becomes as a whole, without seams") {
  for (const bool gray : {true, false}) {
    CAPTURE(gray);
    const Sample sample(150, 133, gray, 20);
    const Image whole = sample.filtered(), tiles = sample.filtered({.tile = 64});
    CHECK(whole.pixels != tiles.pixels);
    CHECK(std::abs(sample.gain(whole) - sample.gain(tiles)) < 0.06);
    CHECK(check_cells(tiles, JpegModel(sample.file)).share() > (gray ? 0.99 : 0.98));
    // Where tiles meet (64 divides neither side: at 48 and 96, at 40 and 88 in gray), neighbouring rows and columns
    // differ from those of the whole by no more than elsewhere.
    const std::vector<int64_t> columns = {48, 96},
                               rows = gray ? std::vector<int64_t>{40, 88} : std::vector<int64_t>{32, 80};
    double at_seams = 0, elsewhere = 0;
    int64_t count_at_seams = 0, count_elsewhere = 0;
    for (int c = 0; c < whole.channels; ++c) {
      for (int64_t y = 1; y < whole.height; ++y) {
        for (int64_t x = 1; x < whole.width; ++x) {
          const auto difference = [&](int64_t v, int64_t u) { return tiles.at(c, v, u) - whole.at(c, v, u); };
          const auto is_seam = [](const std::vector<int64_t>& places, int64_t at) {
            return std::find(places.begin(), places.end(), at) != places.end();
          };
          const double across = 255 * std::max(std::abs(difference(y, x) - difference(y - 1, x)),
                                               std::abs(difference(y, x) - difference(y, x - 1)));
          const bool seam = is_seam(columns, x) || is_seam(rows, y);
          (seam ? at_seams : elsewhere) += across;
          ++(seam ? count_at_seams : count_elsewhere);
        }
      }
    }
    CHECK(at_seams / static_cast<double>(count_at_seams) < 1.5 * elsewhere / static_cast<double>(count_elsewhere));
  }
}

TEST_CASE("tile by tile, the filter tells how far it is, and leaves what it did not come to as it was") {
  const Sample sample(150, 133, false, 20);
  std::vector<double> told;
  const Image all = sample.filtered({.tile = 64}, [&](double done) {
    told.push_back(done);
    return true;
  });
  CHECK(std::is_sorted(told.begin(), told.end()));
  CHECK(told.front() == 0);
  CHECK(told.back() == 1);
  // Nine tiles: after a half, the lower right one is still to come, and the upper left one is done.
  const Image half = sample.filtered({.tile = 64}, [](double done) { return done < 0.5; });
  CHECK(half.at(1, 130, 140) == sample.decoded.at(1, 130, 140));
  CHECK(half.at(1, 10, 10) == all.at(1, 10, 10));
  CHECK(half.at(1, 10, 10) != sample.decoded.at(1, 10, 10));
  const Image none = sample.filtered({.tile = 64}, [](double) { return false; });
  CHECK(none.pixels == sample.decoded.pixels);
}

TEST_CASE("strips lower or narrower than an MCU are filtered tile by tile too") {
  for (const auto& [width, height] : {std::pair<int64_t, int64_t>{150, 9}, {9, 130}, {66, 8}}) {
    const Sample sample(width, height, false, 30);
    const auto& this_width = width;
    CAPTURE(this_width);
    const auto& this_height = height;
    CAPTURE(this_height);
    CHECK(sample.gain(sample.filtered({.tile = 64})) > 0);
  }
}

TEST_CASE("threads change no bit of what is filtered tile by tile") {
  const Sample sample(90, 77, false, 20);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Image one = sample.filtered({.tile = 64});
  omp_set_num_threads(3);
  const Image three = sample.filtered({.tile = 64});
  omp_set_num_threads(threads);
  CHECK(one.pixels == three.pixels);
}

TEST_CASE("tiles cover a length, begin with an MCU, and count for all of it together") {
  for (const int64_t mcu : {8, 16, 24, 32}) {
    for (const int64_t side : {64, 100, 2048}) {
      for (const int64_t length : {int64_t{8}, int64_t{65}, int64_t{70}, int64_t{150}, side, side + 1, int64_t{5003}}) {
        CAPTURE(mcu);
        CAPTURE(side);
        CAPTURE(length);
        const std::vector<TileSpan> spans = tile_spans(length, {.side = side, .unit = mcu, .margin = 48, .ramp = 16});
        std::vector<float> sums(static_cast<std::size_t>(length));
        for (const TileSpan& span : spans) {
          REQUIRE(span.first >= 0);
          REQUIRE(span.last <= length);
          CHECK(span.first % mcu == 0);
          CHECK((span.last == length || span.last % mcu == 0));
          CHECK((span.from == 0 || span.from - span.first >= 48));
          for (int64_t at = span.first; at < span.last; ++at) sums[static_cast<std::size_t>(at)] += span.weight(at);
        }
        CHECK(std::all_of(sums.begin(), sums.end(), [](float sum) { return sum == 1; }));
      }
    }
  }
  CHECK_THROWS_AS(tile_spans(100, {.side = 32, .unit = 8, .margin = 48, .ramp = 16}), Error);
}

TEST_CASE("a part of a JPEG holds the coefficients of its rectangle") {
  const Sample sample(150, 133, false, 30);
  for (const Subsampling subsampling : {Subsampling::s420, Subsampling::s422, Subsampling::s440, Subsampling::s444}) {
    const std::vector<uint8_t> bytes = encode_jpeg(sample.original, {.quality = 30, .subsampling = subsampling});
    const JpegCoefficients file = read_jpeg_coefficients(bytes);
    const Image expected = JpegModel(file).to_image(decode(JpegModel(file)));
    // Inside, and up to the ends.
    for (const Rectangle at : {Rectangle{.x = 32, .y = 16, .width = 64, .height = 48},
                               Rectangle{.x = 48, .y = 64, .width = 102, .height = 69}}) {
      const JpegCoefficients part = part_of(file, at);
      CHECK(part.width == at.width);
      CHECK(part.height == at.height);
      for (const JpegComponent& component : part.components) {
        const int64_t h = file.max_h_sampling / component.h_sampling, v = file.max_v_sampling / component.v_sampling;
        CHECK(component.width == (at.width + h - 1) / h);
        CHECK(component.height == (at.height + v - 1) / v);
        CHECK(component.width_in_blocks == (component.width + 7) / 8);
        CHECK(component.height_in_blocks == (component.height + 7) / 8);
      }
      // All pixels but those whose chroma is interpolated from beyond the rectangle.
      const Image pixels = JpegModel(part).to_image(decode(JpegModel(part)));
      for (int c = 0; c < 3; ++c) {
        for (int64_t y = 2; y + 2 < at.height; ++y) {
          for (int64_t x = 2; x + 2 < at.width; ++x) {
            REQUIRE(pixels.at(c, y, x) == doctest::Approx(expected.at(c, at.y + y, at.x + x)).epsilon(1e-5));
          }
        }
      }
    }
  }
}

}  // namespace hourglass::test
