#include "engine/restore/noise.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "graph/error.h"

namespace hourglass {

double estimate_noise(const Image& image) {
  if (image.width < 3 || image.height < 3)
    fail("noise can't be told from 3x3 pixels, got {}x{}", image.width, image.height);
  double squares = 0;
  std::vector<float> magnitudes(static_cast<std::size_t>((image.width - 2) * (image.height - 2)));
  for (int c = 0; c < image.channels; ++c) {
    std::size_t at = 0;
    for (int64_t y = 1; y + 1 < image.height; ++y) {
      const float* row = image.plane(c) + y * image.width;
      const auto across = [&](int64_t x) { return row[x - image.width] - 2 * row[x] + row[x + image.width]; };
      for (int64_t x = 1; x + 1 < image.width; ++x) {
        magnitudes[at++] = std::abs(across(x - 1) - 2 * across(x) + across(x + 1));
      }
    }
    const auto middle = magnitudes.begin() + static_cast<std::ptrdiff_t>(magnitudes.size() / 2);
    std::nth_element(magnitudes.begin(), middle, magnitudes.end());
    // The mask's squares sum to 36; half of a normal distribution lies within 0.6745 sigma.
    const double sigma = *middle / (6 * 0.6745);
    squares += sigma * sigma;
  }
  return std::sqrt(squares / image.channels);
}

double clipped_noise(const float* samples, int64_t count, double sigma) {
  const auto phi = [](double t) { return std::exp(-t * t / 2) / std::sqrt(2 * std::numbers::pi); };
  const auto above = [](double t) { return std::erfc(t / std::numbers::sqrt2) / 2; };  // of the normal's mass
  // E[n^2] where x + n is below 0 and becomes 0, x away; the same above 1, 1 - x away; and in between.
  const auto expected = [&](double x) {
    const double low = x / sigma, high = (1 - x) / sigma;
    const double inside = 1 - above(low) - above(high) - low * phi(low) - high * phi(high);
    return sigma * sigma * (low * low * above(low) + high * high * above(high) + inside);
  };
  // By a table: it is smooth, and asked for every pixel of an image again and again.
  constexpr int kSteps = 255;
  double table[kSteps + 1];
  for (int i = 0; i <= kSteps; ++i) table[i] = expected(static_cast<double>(i) / kSteps);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += table[static_cast<int>(std::lround(std::clamp(samples[i], 0.0F, 1.0F) * kSteps))];
  }
  return std::sqrt(sum / static_cast<double>(count));
}

}  // namespace hourglass
