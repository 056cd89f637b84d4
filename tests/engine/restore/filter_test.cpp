#include "engine/restore/filter.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/image/jpeg.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/consistency.h"

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

}  // namespace hourglass::test
