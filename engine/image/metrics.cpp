#include "engine/image/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "graph/error.h"

namespace hourglass {
namespace {

constexpr double kRange = 255;

void check_sizes(const Image& image, const Image& reference) {
  if (image.width != reference.width || image.height != reference.height)
    fail("the images differ in size: {}x{} and {}x{}; compare images of one size", image.width, image.height,
         reference.width, reference.height);
  if (image.width < 1 || image.height < 1) fail("the images are empty");
}

// Sum over y of row(y), the rows in parallel, their sums added in order.
template <typename Row>
double sum_rows(int64_t rows, const Row& row) {
  std::vector<double> sums(static_cast<std::size_t>(rows));
#pragma omp parallel for schedule(static)
  for (int64_t y = 0; y < rows; ++y) sums[static_cast<std::size_t>(y)] = row(y);
  double sum = 0;
  for (const double value : sums) sum += value;
  return sum;
}

// Y in double on the 0..255 scale, not rounded.
std::vector<double> luma_255(const Image& image) {
  std::vector<double> luma(static_cast<std::size_t>(image.plane_size()));
  const float *r = image.plane(0), *g = image.plane(image.channels == 3 ? 1 : 0);
  const float* b = image.plane(image.channels == 3 ? 2 : 0);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < image.plane_size(); ++i)
    luma[static_cast<std::size_t>(i)] = kRange * (0.299 * r[i] + 0.587 * g[i] + 0.114 * b[i]);
  return luma;
}

double decibel(double mse) {
  return mse > 0 ? 10 * std::log10(kRange * kRange / mse) : std::numeric_limits<double>::infinity();
}

double squared_distance(const double* a, const double* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// A luma plane pair of one size.
struct Pair {
  int64_t width, height;
  std::vector<double> image, reference;

  Pair(const Image& image_, const Image& reference_)
      : width(image_.width), height(image_.height), image(luma_255(image_)), reference(luma_255(reference_)) {}
};

double luma_mse(const Pair& pair) {
  const double sum = sum_rows(pair.height, [&](int64_t y) {
    return squared_distance(pair.image.data() + y * pair.width, pair.reference.data() + y * pair.width, pair.width);
  });
  return sum / static_cast<double>(pair.width * pair.height);
}

// Squared steps between neighbours, apart for those across a border of the block grid.
struct Steps {
  double border = 0, inside = 0;
};

// Yim and Bovik 2011, written for any size: a step from column (row) 8k - 1 to 8k crosses a border.
double blocking_effect(const std::vector<double>& luma, int64_t width, int64_t height) {
  constexpr int64_t kBlock = 8;
  const auto crosses = [](int64_t from) { return (from + 1) % kBlock == 0; };
  std::vector<Steps> rows(static_cast<std::size_t>(height));
#pragma omp parallel for schedule(static)
  for (int64_t y = 0; y < height; ++y) {
    Steps& steps = rows[static_cast<std::size_t>(y)];
    const double* row = luma.data() + y * width;
    for (int64_t x = 0; x + 1 < width; ++x) {
      const double step = row[x + 1] - row[x];
      (crosses(x) ? steps.border : steps.inside) += step * step;
    }
    if (y + 1 == height) continue;
    (crosses(y) ? steps.border : steps.inside) += squared_distance(row, row + width, width);
  }
  Steps total;
  for (const Steps& steps : rows) {
    total.border += steps.border;
    total.inside += steps.inside;
  }
  const int64_t borders = (width - 1) / kBlock * height + (height - 1) / kBlock * width;
  const int64_t insides = (width - 1) * height + (height - 1) * width - borders;
  if (borders == 0 || insides == 0) return 0;
  const double excess = total.border / static_cast<double>(borders) - total.inside / static_cast<double>(insides);
  if (excess <= 0) return 0;
  // eta = log2(block) / log2(smaller side); the paper's images are never smaller than a block.
  const double side = static_cast<double>(std::max(std::min(width, height), kBlock));
  return excess * std::log2(kBlock) / std::log2(side);
}

double pair_psnr_b(const Pair& pair) {
  return decibel(luma_mse(pair) + blocking_effect(pair.image, pair.width, pair.height));
}

std::vector<double> gaussian(int64_t limit) {
  constexpr int64_t kRadius = 5;
  constexpr double kSigma = 1.5;
  const int64_t radius = std::min(kRadius, (limit - 1) / 2);
  std::vector<double> window;
  double sum = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    window.push_back(std::exp(-static_cast<double>(i * i) / (2 * kSigma * kSigma)));
    sum += window.back();
  }
  for (double& weight : window) weight /= sum;
  return window;
}

// Wang et al. 2004, equation 13.
double similarity(double mean_a, double mean_b, double aa, double bb, double ab) {
  constexpr double kC1 = (0.01 * kRange) * (0.01 * kRange), kC2 = (0.03 * kRange) * (0.03 * kRange);
  const double var_a = aa - mean_a * mean_a, var_b = bb - mean_b * mean_b, covariance = ab - mean_a * mean_b;
  return (2 * mean_a * mean_b + kC1) * (2 * covariance + kC2) /
         ((mean_a * mean_a + mean_b * mean_b + kC1) * (var_a + var_b + kC2));
}

double pair_ssim(const Pair& pair) {
  const std::vector<double> across = gaussian(pair.width), down = gaussian(pair.height);
  const auto across_size = static_cast<int64_t>(across.size()), down_size = static_cast<int64_t>(down.size());
  const int64_t out_width = pair.width - across_size + 1, out_height = pair.height - down_size + 1;
  constexpr int kMoments = 5;  // a, b, aa, bb, ab
  // One row of windows: the moments are filtered downwards into five rows, then across at each position.
  const double sum = sum_rows(out_height, [&](int64_t y) {
    std::vector<double> rows(static_cast<std::size_t>(kMoments * pair.width));
    double* moment[kMoments];
    for (int m = 0; m < kMoments; ++m) moment[m] = rows.data() + m * pair.width;
    for (int64_t i = 0; i < down_size; ++i) {
      const double weight = down[static_cast<std::size_t>(i)];
      const double *a = pair.image.data() + (y + i) * pair.width, *b = pair.reference.data() + (y + i) * pair.width;
      for (int64_t x = 0; x < pair.width; ++x) {
        moment[0][x] += weight * a[x];
        moment[1][x] += weight * b[x];
        moment[2][x] += weight * a[x] * a[x];
        moment[3][x] += weight * b[x] * b[x];
        moment[4][x] += weight * a[x] * b[x];
      }
    }
    double row_sum = 0;
    for (int64_t x = 0; x < out_width; ++x) {
      double value[kMoments] = {};
      for (int64_t i = 0; i < across_size; ++i)
        for (int m = 0; m < kMoments; ++m) value[m] += across[static_cast<std::size_t>(i)] * moment[m][x + i];
      row_sum += similarity(value[0], value[1], value[2], value[3], value[4]);
    }
    return row_sum;
  });
  return sum / static_cast<double>(out_width * out_height);
}

}  // namespace

double psnr(const Image& image, const Image& reference) {
  check_sizes(image, reference);
  const int channels = std::max(image.channels, reference.channels);
  double sum = 0;
  for (int c = 0; c < channels; ++c) {
    const float* a = image.plane(std::min(c, image.channels - 1));
    const float* b = reference.plane(std::min(c, reference.channels - 1));
    sum += sum_rows(image.height, [&](int64_t y) {
      double row = 0;
      for (int64_t x = y * image.width; x < (y + 1) * image.width; ++x) {
        const double difference = static_cast<double>(a[x]) - b[x];
        row += difference * difference;
      }
      return row;
    });
  }
  return decibel(kRange * kRange * sum / static_cast<double>(image.plane_size() * channels));
}

double psnr_y(const Image& image, const Image& reference) {
  check_sizes(image, reference);
  return decibel(luma_mse(Pair(image, reference)));
}

double psnr_b(const Image& image, const Image& reference) {
  check_sizes(image, reference);
  return pair_psnr_b(Pair(image, reference));
}

double ssim(const Image& image, const Image& reference) {
  check_sizes(image, reference);
  return pair_ssim(Pair(image, reference));
}

Likeness compare(const Image& image, const Image& reference) {
  check_sizes(image, reference);
  const Pair pair(image, reference);
  return {.psnr = psnr(image, reference),
          .psnr_y = decibel(luma_mse(pair)),
          .psnr_b = pair_psnr_b(pair),
          .ssim = pair_ssim(pair)};
}

}  // namespace hourglass
