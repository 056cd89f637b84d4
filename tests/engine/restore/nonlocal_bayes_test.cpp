#include "engine/restore/nonlocal_bayes.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <string>
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

// One pass over a dense grid.
std::vector<Plane> filtered(std::vector<Plane> planes, const std::vector<double>& sigmas, int64_t step = 3) {
  REQUIRE(nonlocal_bayes(planes, sigmas, find_groups(planes[0], {.step = step})));
  return planes;
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
  CHECK(mse(filtered({source}, {10})[0], clean) < 60);
  // A second plane of the same structure, too faint to show it through its own noise.
  Plane faint = clean;
  for (float& sample : faint.samples) sample *= 0.1F;
  std::mt19937 random(5);
  std::normal_distribution<float> noise(0, 10);
  Plane seen = faint;
  for (float& sample : seen.samples) sample += noise(random);
  const double alone = mse(filtered({seen}, {10})[0], faint);
  CHECK(mse(filtered({source, seen}, {10, 25})[1], faint) < 0.75 * alone);
}

TEST_CASE("the most likely patches by the formula, where the group is all there is") {
  // 12x6 pixels have 7 places for a patch; they come again until the group is full.
  constexpr int kWidth = 12, kPatch = 6, kSamples = 36, kPixels = 72, kPlaces = 7;
  constexpr double kSigma = 12;
  const Plane plane = noisy(texture(kWidth, kPatch), 20);
  bool guided = false;
  SUBCASE("of the patches themselves") {}
  SUBCASE("of a guide's patches") { guided = true; }
  const Plane guide = guided ? noisy(texture(kWidth, kPatch), 5) : plane;
  for (const int kGroup : {kernels::kSmallGroup, kernels::kLargeGroup}) {
    std::vector<Plane> planes{plane};
    const PatchGroups groups = find_groups(plane, {.members = kGroup});
    REQUIRE(guided_bayes(planes, guided ? std::span(&guide, 1) : std::span<const Plane>(), {kSigma}, groups));
    const Plane& result = planes[0];
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
      Eigen::MatrixXd x(kSamples, kGroup), y(kSamples, kGroup);
      for (int k = 0; k < kGroup; ++k) {
        const int place = alike[static_cast<std::size_t>(k % kPlaces)].second;
        for (int s = 0; s < kSamples; ++s) {
          y(s, k) = sample(s, place);
          x(s, k) = guide.row(s / kPatch)[place + s % kPatch];
        }
      }
      const Eigen::VectorXd mean = x.rowwise().mean();
      x.colwise() -= mean;
      y.colwise() -= mean;
      const Eigen::MatrixXd c = x * x.transpose() / kGroup;
      const Eigen::MatrixXd noise = kSigma * kSigma * Eigen::MatrixXd::Identity(kSamples, kSamples);
      const Eigen::MatrixXd best = (c * (c + noise).inverse() * y).colwise() + mean;
      const Eigen::MatrixXd one = Eigen::MatrixXd::Identity(kGroup, kGroup);
      const Eigen::MatrixXd w = one - (x.transpose() * x / (kGroup * kSigma * kSigma) + one).inverse();
      const double weight = 1 / (1 + w.trace());
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
}

TEST_CASE("what the filter leaves as it is: a flat plane, and one patch alone") {
  Plane flat(20, 9);
  for (float& sample : flat.samples) sample = 3;
  CHECK(mse(filtered({flat}, {25})[0], flat) < 1e-8);
  const Plane source = noisy(texture(6, 6), 1);
  CHECK(mse(filtered({source}, {1})[0], source) < 1e-8);
}

TEST_CASE("too small a plane and no noise are errors") {
  CHECK_THROWS_AS(find_groups(Plane(5, 30), {}), Error);
  std::vector<Plane> planes{Plane(30, 30)};
  CHECK_THROWS_AS(nonlocal_bayes(planes, {0}, find_groups(planes[0], {})), Error);
}

TEST_CASE("every pixel is in some group, wherever the grid lies") {
  // Flat parts have more equal patches than a group holds, and each reference patch is in its own group all the same.
  Plane plane = texture(64, 41);
  for (int64_t y = 5; y < 35; ++y) std::fill_n(plane.row(y) + 8, 40, 17.0F);
  for (const int64_t step : {1, 3, 5, 6}) {
    for (const int64_t offset : {int64_t{0}, step / 2, step - 1}) {
      CAPTURE(step);
      CAPTURE(offset);
      const PatchGroups groups = find_groups(plane, {.step = step, .offset_y = offset, .offset_x = offset});
      for (std::size_t r = 0; r < groups.ys.size(); ++r) {
        for (std::size_t c = 0; c < groups.xs.size(); ++c) {
          const std::span<const PatchGroups::Offset> group = groups.group(r, c);
          const auto is_itself = [](const PatchGroups::Offset& o) { return o.y == 0 && o.x == 0; };
          REQUIRE(std::count_if(group.begin(), group.end(), is_itself) == 1);
        }
      }
      std::vector<Plane> planes{plane};
      REQUIRE(nonlocal_bayes(planes, {1}, groups));
      CHECK(mse(planes[0], plane) < 0.5);
    }
  }
}

TEST_CASE("a group holds the patches that are most alike") {
  const Plane plane = noisy(texture(45, 44), 10);
  for (const int64_t members : {kernels::kSmallGroup, kernels::kLargeGroup}) {
    const PatchGroups groups = find_groups(plane, {.step = 6, .members = members});
    for (std::size_t r = 0; r < groups.ys.size(); ++r) {
      for (std::size_t c = 0; c < groups.xs.size(); ++c) {
        const auto distance = [&](int64_t dy, int64_t dx) {
          double sum = 0;
          for (int64_t v = 0; v < 6; ++v) {
            for (int64_t u = 0; u < 6; ++u) {
              const int64_t y = groups.ys[r] + v, x = groups.xs[c] + u;
              sum += std::pow(plane.row(y + dy)[x + dx] - plane.row(y)[x], 2);
            }
          }
          return sum;
        };
        std::vector<double> all, found;
        for (int64_t dy = -19; dy <= 19; ++dy) {
          for (int64_t dx = -19; dx <= 19; ++dx) {
            const int64_t y = groups.ys[r] + dy, x = groups.xs[c] + dx;
            if (y >= 0 && x >= 0 && y + 6 <= plane.height && x + 6 <= plane.width) all.push_back(distance(dy, dx));
          }
        }
        for (const PatchGroups::Offset& o : groups.group(r, c)) found.push_back(distance(o.y, o.x));
        std::sort(all.begin(), all.end());
        std::sort(found.begin(), found.end());
        for (std::size_t k = 0; k < found.size(); ++k) CHECK(found[k] == doctest::Approx(all[k]).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("the loops of all instruction sets agree") {
  for (const int64_t members : {kernels::kSmallGroup, kernels::kLargeGroup}) {
    const Plane source = noisy(texture(50, 90), 10);
    const PatchGroups groups = find_groups(source, {.members = members});
    Plane colour = source;
    for (float& sample : colour.samples) sample *= -0.5F;
    std::vector<Plane> expected{source, colour};
    const std::vector<Plane> guide = filtered(expected, {5, 5});
    std::vector<Plane> expected_of_guide = expected;
    REQUIRE(nonlocal_bayes(expected, {10, 8}, groups, {}, *kernels::restoration_loops_any()));
    REQUIRE(guided_bayes(expected_of_guide, guide, {10, 8}, groups, {}, *kernels::restoration_loops_any()));
    const kernels::RestorationLoops& best = kernels::restoration_loops();
    MESSAGE("this CPU's are ", std::string(best.isa));
    for (const kernels::RestorationLoops* loops :
         {kernels::restoration_loops_avx2(), kernels::restoration_loops_avx512()}) {
      if (loops == nullptr || loops->lanes > best.lanes) continue;
      CAPTURE(loops->isa);
      std::vector<Plane> planes{source, colour};
      REQUIRE(nonlocal_bayes(planes, {10, 8}, groups, {}, *loops));
      for (std::size_t p = 0; p < planes.size(); ++p) CHECK(mse(planes[p], expected[p]) < 1e-6);
      planes = {source, colour};
      REQUIRE(guided_bayes(planes, guide, {10, 8}, groups, {}, *loops));
      for (std::size_t p = 0; p < planes.size(); ++p) CHECK(mse(planes[p], expected_of_guide[p]) < 1e-6);
    }
  }
}

TEST_CASE("a filter that is told to stop leaves the planes as they are") {
  const Plane source = noisy(texture(50, 200), 10);
  const PatchGroups groups = find_groups(source, {});
  std::vector<Plane> planes{source};
  int asked = 0;
  CHECK_FALSE(nonlocal_bayes(planes, {10}, groups, [&] { return ++asked == 3; }));
  CHECK(planes[0].samples == source.samples);
}

TEST_CASE("the number of threads changes no bit") {
  const Plane source = noisy(texture(50, 90), 10);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Plane one = filtered({source}, {10})[0];
  omp_set_num_threads(3);
  const Plane three = filtered({source}, {10})[0];
  omp_set_num_threads(threads);
  CHECK(one.samples == three.samples);
}

}  // namespace hourglass::test
