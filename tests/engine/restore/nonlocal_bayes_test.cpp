#include "engine/restore/nonlocal_bayes.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include <Eigen/Dense>

#include "graph/error.h"

namespace hourglass::test {
namespace {

// Stripes and a checkerboard: patches that come again all over the plane.
Plane texture(int64_t width, int64_t height) {
  Plane plane(width, height);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const bool left = x < width / 2;
      plane.row(y)[x] =
          left ? 40 * std::sin(0.9F * static_cast<float>(x)) : ((x / 5 + y / 5) % 2 == 0 ? 50.0F : -50.0F);
    }
  }
  return plane;
}

Plane noisy(const Plane& plane, float sigma) {
  std::mt19937 random(3);
  std::normal_distribution<float> noise(0, sigma);
  Plane result = plane;
  for (float& sample : result.samples) sample += noise(random);
  return result;
}

double mse(const Plane& a, const Plane& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.samples.size(); ++i) sum += std::pow(a.samples[i] - b.samples[i], 2);
  return sum / static_cast<double>(a.samples.size());
}

}  // namespace

TEST_CASE("patches that repeat clean each other, and each plane's colour with them") {
  const Plane clean = texture(61, 47);
  const Plane source = noisy(clean, 10);
  REQUIRE(mse(source, clean) == doctest::Approx(100).epsilon(0.1));
  CHECK(mse(nonlocal_bayes({source}, {10})[0], clean) < 60);
  // A second plane of the same structure, too faint to show it through its own noise.
  Plane faint = clean;
  for (float& sample : faint.samples) sample *= 0.1F;
  std::mt19937 random(5);
  std::normal_distribution<float> noise(0, 10);
  Plane seen = faint;
  for (float& sample : seen.samples) sample += noise(random);
  const double alone = mse(nonlocal_bayes({seen}, {10})[0], faint);
  CHECK(mse(nonlocal_bayes({source, seen}, {10, 25})[1], faint) < 0.75 * alone);
}

TEST_CASE("the most likely patches by the formula, where the group is all there is") {
  // 12x6 pixels have 7 places for a patch; they come again until the group is full.
  constexpr int kWidth = 12, kPatch = 6, kSamples = 36, kPixels = 72, kPlaces = 7, kGroup = 40;
  constexpr double kSigma = 12;
  const Plane plane = noisy(texture(kWidth, kPatch), 20);
  const Plane result = nonlocal_bayes({plane}, {kSigma})[0];
  Eigen::VectorXd sums = Eigen::VectorXd::Zero(kPixels), weights = Eigen::VectorXd::Zero(kPixels);
  for (const int reference : {0, 3, 6}) {
    const auto sample = [&](int s, int x) { return plane.row(s / kPatch)[x + s % kPatch]; };
    std::vector<std::pair<double, int>> alike;
    for (int x = 0; x < kPlaces; ++x) {
      double distance = x == reference ? -1 : 0;
      for (int s = 0; s < kSamples; ++s) distance += std::pow(sample(s, x) - sample(s, reference), 2);
      alike.emplace_back(distance, x);
    }
    std::sort(alike.begin(), alike.end());
    Eigen::MatrixXd x(kSamples, kGroup);
    for (int k = 0; k < kGroup; ++k) {
      for (int s = 0; s < kSamples; ++s) x(s, k) = sample(s, alike[static_cast<std::size_t>(k % kPlaces)].second);
    }
    const Eigen::VectorXd mean = x.rowwise().mean();
    x.colwise() -= mean;
    const Eigen::MatrixXd c = x * x.transpose() / kGroup;
    const Eigen::MatrixXd noise = kSigma * kSigma * Eigen::MatrixXd::Identity(kSamples, kSamples);
    const Eigen::MatrixXd best = (c * (c + noise).inverse() * x).colwise() + mean;
    const Eigen::MatrixXd one = Eigen::MatrixXd::Identity(kGroup, kGroup);
    const Eigen::MatrixXd w = one - (x.transpose() * x / (kGroup * kSigma * kSigma) + one).inverse();
    const double weight = 1 / (1 + w.squaredNorm());
    for (int k = 0; k < kGroup; ++k) {
      for (int s = 0; s < kSamples; ++s) {
        const int at = s / kPatch * kWidth + alike[static_cast<std::size_t>(k % kPlaces)].second + s % kPatch;
        sums[at] += weight * best(s, k);
        weights[at] += weight;
      }
    }
  }
  for (int i = 0; i < kPixels; ++i) {
    CAPTURE(i);
    CHECK(result.samples[static_cast<std::size_t>(i)] == doctest::Approx(sums[i] / weights[i]).epsilon(1e-3));
  }
}

TEST_CASE("what the filter leaves as it is: a flat plane, and one patch alone") {
  Plane flat(20, 9);
  for (float& sample : flat.samples) sample = 3;
  CHECK(mse(nonlocal_bayes({flat}, {25})[0], flat) < 1e-8);
  const Plane source = noisy(texture(6, 6), 1);
  CHECK(mse(nonlocal_bayes({source}, {1})[0], source) < 1e-8);
}

TEST_CASE("too small a plane and no noise are errors") {
  CHECK_THROWS_AS(nonlocal_bayes({Plane(5, 30)}, {1}), Error);
  CHECK_THROWS_AS(nonlocal_bayes({Plane(30, 30)}, {0}), Error);
}

TEST_CASE("the number of threads changes no bit") {
  const Plane source = noisy(texture(50, 90), 10);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Plane one = nonlocal_bayes({source}, {10})[0];
  omp_set_num_threads(3);
  const Plane three = nonlocal_bayes({source}, {10})[0];
  omp_set_num_threads(threads);
  CHECK(one.samples == three.samples);
}

}  // namespace hourglass::test
