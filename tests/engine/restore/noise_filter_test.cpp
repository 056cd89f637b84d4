// Noise taken out of a photograph by the filter alone.
#include "engine/restore/noise_filter.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <string>

#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/denoise_task.h"
#include "engine/train/random.h"
#include "graph/error.h"

namespace hourglass::test {
namespace {

constexpr double kSigma = 25 / 255.0;

// The middle of a photograph.
Image photograph(const std::string& name, bool gray) {
  const Image whole = read_image(std::string(HOURGLASS_TEST_DATA) + "/images/" + name).image;
  constexpr int64_t kSide = 96;
  Image middle(kSide, kSide, whole.channels);
  for (int c = 0; c < whole.channels; ++c) {
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = 0; x < kSide; ++x) {
        middle.at(c, y, x) = whole.at(c, (whole.height - kSide) / 2 + y, (whole.width - kSide) / 2 + x);
      }
    }
  }
  return gray && middle.channels == 3 ? to_gray(middle) : middle;
}

Image with_noise(Image image, double sigma) {
  const auto count = static_cast<int64_t>(image.pixels.size());
  const std::vector<float> noise = draw_normal(5, Stream::degradation, 0, count, 0, static_cast<float>(sigma));
  for (std::size_t i = 0; i < noise.size(); ++i) image.pixels[i] += noise[i];
  return image;
}

double psnr_of(Image image, const Image& original) {
  clamp(image);
  return psnr(image, original);
}

TEST_CASE("the filter takes noise out of photographs, gray and in colour") {
  struct Expected {
    std::string name;
    bool gray;
    double gain;  // dB, a little less than was seen
  };
  for (const Expected& e : {Expected{"camera.png", true, 7.8}, Expected{"chelsea.png", true, 7.9},
                            Expected{"chelsea.png", false, 9}, Expected{"coffee.png", false, 13}}) {
    const Image original = photograph(e.name, e.gray), noisy = with_noise(original, kSigma);
    const double gain = psnr_of(filter_noise(noisy, kSigma), original) - psnr_of(noisy, original);
    CAPTURE(e.name);
    CHECK(gain > e.gain);
  }
}

TEST_CASE("channels that are alike stay so, and the number of threads changes no bit") {
  const Image gray = with_noise(photograph("camera.png", true), kSigma);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Image one = filter_noise(gray, kSigma);
  omp_set_num_threads(3);
  const Image three = filter_noise(gray, kSigma);
  omp_set_num_threads(threads);
  CHECK(one.pixels == three.pixels);
  const Image colour = filter_noise(gray_to_rgb(gray), kSigma);
  for (int64_t i = 0; i < colour.plane_size(); ++i) {
    REQUIRE(colour.plane(0)[i] == doctest::Approx(colour.plane(1)[i]).epsilon(1e-4));
    REQUIRE(colour.plane(0)[i] == doctest::Approx(colour.plane(2)[i]).epsilon(1e-4));
  }
}

TEST_CASE("what is ended early is what the passes so far have made") {
  const Image original = photograph("camera.png", true), noisy = with_noise(original, kSigma);
  const Image none = filter_noise(noisy, kSigma, [](double) { return false; });
  CHECK(psnr(none, noisy) > 100);
  const Image some = filter_noise(noisy, kSigma, [](double done) { return done < 0.6; });
  const double before = psnr_of(noisy, original), half = psnr_of(some, original);
  CHECK(half > before + 3);
  CHECK(some.pixels != filter_noise(noisy, kSigma).pixels);
}

TEST_CASE("a task without noise, or too small, has no filter; noise that is known is not estimated") {
  const auto filtered = [](const Image& image, double sigma) {
    return make_denoise_task(image, sigma)->filter(255, {});
  };
  CHECK_FALSE(filtered(Image(32, 32, 1), 0).has_value());
  CHECK_FALSE(filtered(Image(2, 40, 1), 0).has_value());
  const Image noisy = with_noise(photograph("camera.png", true), kSigma);
  const auto estimated = filtered(noisy, 0), known = filtered(noisy, kSigma), half = filtered(noisy, kSigma / 2);
  REQUIRE(estimated.has_value());
  CHECK(psnr(estimated->image, known->image) > 35);
  CHECK(psnr(half->image, known->image) < 35);
  CHECK_THROWS_AS(filter_noise(noisy, 0), Error);
  const Image small(7, 40, 3);
  CHECK(filter_noise(small, kSigma).pixels == small.pixels);
}

}  // namespace
}  // namespace hourglass::test
