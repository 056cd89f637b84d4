#include "engine/train/adam.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace hourglass::test {

TEST_CASE("Adam follows Kingma and Ba's algorithm 1") {
  // Long enough for several chunks, and a length that no vector divides.
  constexpr std::size_t kCount = 40003;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> p(kCount), g(kCount);
  for (auto& x : p) x = normal(random);
  std::vector<double> q(p.begin(), p.end()), m(kCount), v(kCount);
  Adam adam({.learning_rate = 0.01});
  adam.add(p.data(), g.data(), 17);
  adam.add(p.data() + 17, g.data() + 17, kCount - 17);
  for (int t = 1; t <= 20; ++t) {
    for (auto& x : g) x = normal(random) * 1e-3F;
    adam.step();
    for (std::size_t i = 0; i < kCount; ++i) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      const double m_hat = m[i] / (1 - std::pow(0.9, t)), v_hat = v[i] / (1 - std::pow(0.999, t));
      q[i] -= 0.01 * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }
  double worst = 0;
  for (std::size_t i = 0; i < kCount; ++i) worst = std::max(worst, std::abs(p[i] - q[i]));
  // Twenty steps of at most 0.01 each, in float: a few units in the last place of numbers near 4.
  CHECK(worst < 4e-6);
  CHECK(adam.steps() == 20);
}

TEST_CASE("parameters without a gradient stay what they are") {
  std::vector<float> p{0, 0, 1}, g{0, 0, 0};
  Adam adam({});
  adam.add(p.data(), g.data(), 3);
  adam.step();
  CHECK(p == std::vector<float>{0, 0, 1});
}

TEST_CASE("gradients far above the usual norm are scaled down to a multiple of it, and none but numbers count") {
  // One parameter more than a chunk holds, so that the norm is that of all.
  constexpr int64_t kCount = 16385;
  std::vector<float> p(kCount), g(kCount, 0.5F), q(kCount);
  Adam limited({.learning_rate = 0.01, .norm_limit = 2}), plain({.learning_rate = 0.01});
  limited.add(p.data(), g.data(), kCount);
  std::vector<float> scaled = g;
  plain.add(q.data(), scaled.data(), kCount);
  for (int i = 0; i < 4; ++i) {
    limited.step();
    plain.step();
  }
  CHECK(p == q);
  CHECK(limited.usual_norm() == doctest::Approx(0.5 * std::sqrt(static_cast<double>(kCount))));
  // A hundred times as large counts for twice as large.
  for (float& value : g) value = -50;
  for (float& value : scaled) value = -1;
  limited.step();
  plain.step();
  for (std::size_t i = 0; i < p.size(); ++i) REQUIRE(p[i] == doctest::Approx(q[i]).epsilon(1e-5));
  CHECK(limited.usual_norm() == doctest::Approx((0.95 * 0.5 + 0.05) * std::sqrt(static_cast<double>(kCount))));
  g[7] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> before = p;
  limited.step();
  CHECK(p == before);
  CHECK(limited.steps() == 5);
}

}  // namespace hourglass::test
