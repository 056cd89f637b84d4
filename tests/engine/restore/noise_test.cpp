#include "engine/restore/noise.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/image/read_image.h"
#include "engine/restore/degrade.h"
#include "engine/restore/denoise_task.h"
#include "graph/error.h"

namespace hourglass::test {
namespace {

double rms(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::pow(a.pixels[i] - b.pixels[i], 2);
  return std::sqrt(sum / static_cast<double>(a.pixels.size()));
}

}  // namespace

TEST_CASE("a photograph's noise is estimated from itself") {
  const Image clean = read_image(HOURGLASS_TEST_DATA "/images/chelsea.png").image;
  CHECK(estimate_noise(clean) < 3.0 / 255);
  for (const double sigma : {15.0, 25.0, 50.0}) {
    CAPTURE(sigma);
    const Image noisy = add_noise(clean, sigma, 11);
    CHECK(estimate_noise(noisy) == doctest::Approx(rms(noisy, clean)).epsilon(0.05));
  }
  CHECK_THROWS_AS(estimate_noise(Image(2, 30, 1)), Error);
}

TEST_CASE("what clipping leaves of noise, by the formula and by drawing it") {
  Image ramp(512, 64, 1);
  for (int64_t i = 0; i < 512 * 64; ++i) ramp.pixels[static_cast<std::size_t>(i)] = static_cast<float>(i % 512) / 511;
  for (const double sigma : {5.0, 50.0, 150.0}) {
    CAPTURE(sigma);
    const double expected = clipped_noise(ramp.pixels.data(), 512 * 64, sigma / 255);
    CHECK(expected < sigma / 255);
    CHECK(rms(add_noise(ramp, sigma, 11), ramp) == doctest::Approx(expected).epsilon(0.02));
  }
}

TEST_CASE("the original is about as far from the noisy photograph as denoising takes it to be") {
  const Image clean = read_image(HOURGLASS_TEST_DATA "/images/chelsea.png").image, noisy = add_noise(clean, 25, 11);
  for (const double sigma : {0.0, 25.0 / 255}) {
    CAPTURE(sigma);
    const std::unique_ptr<Task> task = make_denoise_task(noisy, sigma);
    CHECK(task->discrepancy()(clean.pixels) == doctest::Approx(1).epsilon(0.05));
    CHECK(task->discrepancy()(noisy.pixels) == 0);
  }
  CHECK(!make_denoise_task(Image(2, 2, 1))->discrepancy());
  CHECK(!make_denoise_task(Image(20, 20, 1))->discrepancy());
}

}  // namespace hourglass::test
