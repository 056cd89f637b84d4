#include "engine/restore/consistency.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "engine/image/read_image.h"
#include "ops/simd/restoration_loops.h"

namespace hourglass::test {
namespace {

// The same mean by Simpson's rule, with the density scaled to its largest value in the interval.
double by_quadrature(double mean, double sigma, double low, double high) {
  constexpr int kSteps = 20000;
  const double peak = std::clamp(mean, low, high);
  // Far out in a tail only the first few decay lengths count.
  const double decay = std::abs(peak - mean) > 0 ? sigma * sigma / std::abs(peak - mean) : 10 * sigma;
  const double reach = std::min(60 * decay, 12 * sigma);
  const double a = std::max(low, peak - reach), b = std::min(high, peak + reach);
  double mass = 0, moment = 0;
  for (int i = 0; i <= kSteps; ++i) {
    const double x = a + (b - a) * i / kSteps;
    const double weight = i == 0 || i == kSteps ? 1 : (i % 2 == 1 ? 4 : 2);
    const double z = (x - mean) / sigma, z0 = (peak - mean) / sigma;
    const double density = weight * std::exp((z0 - z) * (z0 + z) / 2);
    mass += density;
    moment += density * (x - peak);
  }
  return peak + moment / mass;
}

Image natural(int64_t width, int64_t height, int channels) {
  std::mt19937 random(7);
  std::normal_distribution<float> noise(0, 0.02F);
  Image image(width, height, channels);
  for (int c = 0; c < channels; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const auto u = static_cast<float>(x), v = static_cast<float>(y);
        image.at(c, y, x) = 0.5F + 0.25F * std::sin(0.21F * u + 0.8F * static_cast<float>(c)) * std::cos(0.13F * v) +
                            (x > width / 2 ? 0.12F : -0.1F) + noise(random);
      }
    }
  }
  clamp(image);
  for (float& value : image.pixels) value = std::round(value * 255) / 255;
  return image;
}

}  // namespace

TEST_CASE("the truncated normal's mean agrees with quadrature, far into the tails") {
  const double means[] = {0, 0.3, -2, 5, 40, -300, 1e4};
  const double sigmas[] = {1e-3, 0.1, 1, 16, 100};
  const double cells[][2] = {{-0.5, 0.5}, {-8, 8}, {3, 9}, {-90, -50}, {0, 1e-4}};
  for (const double mean : means) {
    for (const double sigma : sigmas) {
      for (const auto& cell : cells) {
        CAPTURE(mean);
        CAPTURE(sigma);
        CAPTURE(cell[0]);
        CAPTURE(cell[1]);
        const double got = truncated_normal_mean(mean, sigma, cell[0], cell[1]);
        CHECK(std::abs(got - by_quadrature(mean, sigma, cell[0], cell[1])) < 2e-6 * (cell[1] - cell[0]) + 1e-9);
        CHECK(got >= cell[0]);
        CHECK(got <= cell[1]);
      }
    }
  }
  CHECK(truncated_normal_mean(3, 0, -1, 1) == 1);
}

TEST_CASE("the loops' truncated means agree with the exact ones") {
  const kernels::RestorationLoops& best = kernels::restoration_loops();
  for (const kernels::RestorationLoops* loops :
       {kernels::restoration_loops_any(), kernels::restoration_loops_avx2(), kernels::restoration_loops_avx512()}) {
    if (loops == nullptr || loops->lanes > best.lanes) continue;
    CAPTURE(loops->isa);
    constexpr int kCount = 16;
    for (const float step : {1.0F, 16.0F, 255.0F}) {
      for (float sigma = 1e-3F; sigma < 100; sigma *= 1.7F) {  // in steps
        for (float at = -3.9F; at < 4; at += 0.19F) {          // in steps from the cell's middle
          std::array<float, kCount> n, steps, sigmas, values;
          steps.fill(step), sigmas.fill(sigma * step);
          for (std::size_t i = 0; i < kCount; ++i) {
            n[i] = static_cast<float>(i) - 8;
            values[i] = (n[i] + at) * step;
          }
          const std::array<float, kCount> before = values;
          loops->truncated_means(values.data(), n.data(), steps.data(), sigmas.data(), kCount);
          for (std::size_t i = 0; i < kCount; ++i) {
            const double mean = truncated_normal_mean(before[i], sigmas[i], (n[i] - 0.5) * step, (n[i] + 0.5) * step);
            const double error = std::abs((static_cast<double>(n[i]) * step + values[i] - mean) / step);
            CAPTURE(at);
            CAPTURE(sigma);
            REQUIRE(error < 3e-4);
          }
        }
      }
    }
  }
}

TEST_CASE("any estimate is brought back to an image that gives the file's own coefficients") {
  for (const int channels : {1, 3}) {
    for (const Subsampling subsampling : {Subsampling::s444, Subsampling::s420, Subsampling::s422, Subsampling::s440}) {
      for (const auto& size : {std::pair{64, 48}, std::pair{53, 37}}) {
        CAPTURE(channels);
        CAPTURE(static_cast<int>(subsampling));
        CAPTURE(size.first);
        const Image original = natural(size.first, size.second, channels);
        JpegOptions options;
        options.quality = 10;
        options.subsampling = subsampling;
        const JpegCoefficients file = read_jpeg_coefficients(encode_jpeg(original, options));
        const JpegModel model(file);
        // An estimate that knows nothing.
        Image gray(size.first, size.second, channels);
        for (float& value : gray.pixels) value = 0.5F;
        CHECK(check_cells(gray, model).share() < 0.99);
        CHECK(check_cells(to_consistent(gray, model, 0), model).share() == 1);
        CHECK(check_cells(to_consistent(gray, model, 255), model).share() > 0.999);
        // The posterior mean stays in the cells where no pixel is shared between blocks.
        if (size.first % 16 == 0) {
          CHECK(check_cells(to_posterior_mean(gray, model), model).share() > 0.999);
        }
      }
    }
  }
}

TEST_CASE("the original is in its own file's cells") {
  const Image original = natural(64, 64, 1);
  JpegOptions options;
  options.quality = 20;
  const JpegCoefficients file = read_jpeg_coefficients(encode_jpeg(original, options));
  const JpegModel model(file);
  // libjpeg's integer DCT rounds: a few coefficients on a cell's border fall to the other side.
  CHECK(check_cells(original, model).share() > 0.995);
  const Image kept = to_posterior_mean(original, model, 0);
  double worst = 0;
  for (std::size_t i = 0; i < kept.pixels.size(); ++i) {
    worst = std::max(worst, static_cast<double>(std::abs(kept.pixels[i] - original.pixels[i])));
  }
  CHECK(worst < 1.0 / 255);
}

TEST_CASE("an original sits in its cells as is known of originals, its JPEG in their middle") {
  for (const char* name : {"camera.png", "coffee.png"}) {
    const Image original = read_image(std::string(HOURGLASS_TEST_DATA "/images/") + name).image;
    for (const int quality : {10, 40}) {
      CAPTURE(name);
      CAPTURE(quality);
      const std::vector<uint8_t> bytes = encode_jpeg(original, {.quality = quality});
      const JpegCoefficients file = read_jpeg_coefficients(bytes);
      const JpegModel model(file);
      const double offset = rms_cell_offset(original, model);
      CHECK(offset > kOriginalCellOffset - 0.02);
      CHECK(offset < kOriginalCellOffset + 0.02);
      // Decoding rounds, clamps, and smooths chroma.
      CHECK(rms_cell_offset(decode_jpeg(bytes).image, model) < offset);
    }
  }
}

}  // namespace hourglass::test
