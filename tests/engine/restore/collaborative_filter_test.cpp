#include "engine/restore/collaborative_filter.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <random>

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

TEST_CASE("patches that repeat clean each other") {
  const Plane clean = texture(61, 47);
  const Plane source = noisy(clean, 10);
  REQUIRE(mse(source, clean) == doctest::Approx(100).epsilon(0.1));
  // With a perfect pilot almost all noise goes; with the noisy image for its own pilot, still most of it.
  CHECK(mse(collaborative_filter({clean}, {source}, {10})[0], clean) < 8);
  CHECK(mse(collaborative_filter({source}, {source}, {10})[0], clean) < 60);
}

TEST_CASE("what the filter leaves as it is: a flat plane, and one without noise") {
  Plane flat(20, 9);
  for (float& sample : flat.samples) sample = 3;
  CHECK(mse(collaborative_filter({flat}, {flat}, {25})[0], flat) < 1e-8);
  const Plane source = noisy(texture(24, 24), 5);
  const std::vector<Plane> two = collaborative_filter({source, source}, {source, source}, {0, 5});
  CHECK(two[0].samples == source.samples);
  CHECK(mse(two[1], source) > 0.1);
}

TEST_CASE("one patch alone is its own group; less is an error") {
  const Plane source = noisy(texture(8, 8), 1);
  const Plane result = collaborative_filter({source}, {source}, {1})[0];
  CHECK(mse(result, source) < 1);
  CHECK_THROWS_AS(collaborative_filter({Plane(7, 30)}, {Plane(7, 30)}, {1}), Error);
}

TEST_CASE("the number of threads changes no bit") {
  const Plane source = noisy(texture(50, 90), 10);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Plane one = collaborative_filter({source}, {source}, {10})[0];
  omp_set_num_threads(3);
  const Plane three = collaborative_filter({source}, {source}, {10})[0];
  omp_set_num_threads(threads);
  CHECK(one.samples == three.samples);
}

}  // namespace hourglass::test
