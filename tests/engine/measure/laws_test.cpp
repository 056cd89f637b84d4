#include "engine/measure/laws.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "engine/train/random.h"
#include "graph/error.h"

namespace hourglass::test {
namespace {

// `rounds` of timings that follow the law but for noise of sigma, a share.
std::vector<LawPoint> points_of(const Law& law, const std::vector<int>& threads, int rounds, double sigma,
                                uint64_t seed = 1) {
  std::vector<LawPoint> points;
  for (const int n : threads) {
    LawPoint point{.threads = n, .rounds = {}};
    const auto noise = draw_normal(seed, Stream::input, static_cast<uint32_t>(n), rounds, 0, static_cast<float>(sigma));
    for (const float x : noise) point.rounds.push_back(law.seconds(n) * (1 + static_cast<double>(x)));
    points.push_back(std::move(point));
  }
  return points;
}

std::vector<LawPoint> exact(const std::vector<std::pair<int, double>>& timings) {
  std::vector<LawPoint> points;
  for (const auto& [threads, seconds] : timings) points.push_back({threads, std::vector<double>(5, seconds)});
  return points;
}

const std::vector<int> kCounts{1, 2, 4, 8, 16, 32};

}  // namespace

TEST_CASE("laws: Amdahl's is found again in timings that follow it") {
  const Law truth{.seconds_one = 0.3, .serial = 0.07};
  const FittedLaw found = fit_law(LawKind::amdahl, points_of(truth, {1, 2, 4, 12}, 5, 0));
  CHECK(found.law.seconds_one == doctest::Approx(0.3));
  CHECK(found.law.serial == doctest::Approx(0.07));
  CHECK(found.misfit == doctest::Approx(0).epsilon(1e-9));
  CHECK(found.law.speed_up(8) == doctest::Approx(1 / (0.07 + 0.93 / 8)));
  CHECK(found.law.limit() == doctest::Approx(1 / 0.07));
  CHECK(found.law.best_threads() == std::numeric_limits<double>::infinity());
}

TEST_CASE("laws: the Universal Scalability Law is found again, with the number of threads where it turns") {
  const Law truth{.seconds_one = 2, .serial = 0.03, .coherence = 0.001};
  const FittedLaw found = fit_law(LawKind::universal, points_of(truth, kCounts, 5, 0));
  CHECK(found.law.serial == doctest::Approx(0.03));
  CHECK(found.law.coherence == doctest::Approx(0.001));
  CHECK(found.law.best_threads() == doctest::Approx(std::sqrt(0.97 / 0.001)));
  CHECK(found.law.limit() == doctest::Approx(truth.speed_up(std::sqrt(0.97 / 0.001))));
  CHECK(found.law.speed_up(200) < found.law.limit());
}

TEST_CASE("laws: with noise, the truth lies within the intervals in most measurements") {
  const Law amdahl{.seconds_one = 1, .serial = 0.05}, universal{.seconds_one = 1, .serial = 0.05, .coherence = 0.002};
  int serial = 0, coherence = 0;
  constexpr int kTrials = 25;
  for (uint64_t seed = 0; seed < kTrials; ++seed) {
    serial += fit_law(LawKind::amdahl, points_of(amdahl, kCounts, 15, 0.02, seed)).serial.holds(0.05) ? 1 : 0;
    coherence +=
        fit_law(LawKind::universal, points_of(universal, kCounts, 15, 0.02, seed)).coherence.holds(0.002) ? 1 : 0;
  }
  CHECK(serial >= 19);  // fewer than 19 of 25 at 0.95 each: once in 10,000
  CHECK(coherence >= 19);
  const FittedLaw quiet = fit_law(LawKind::amdahl, points_of(amdahl, kCounts, 15, 0.01));
  const FittedLaw noisy = fit_law(LawKind::amdahl, points_of(amdahl, kCounts, 15, 0.05));
  CHECK(quiet.serial.high - quiet.serial.low < noisy.serial.high - noisy.serial.low);
}

TEST_CASE("laws: the data prefer the law that they follow") {
  const Law amdahl{.seconds_one = 1, .serial = 0.05}, universal{.seconds_one = 1, .serial = 0.05, .coherence = 0.002};
  int simple = 0;
  constexpr int kTrials = 20;
  for (uint64_t seed = 0; seed < kTrials; ++seed) {
    simple += choose_law(points_of(amdahl, kCounts, 15, 0.02, seed)).verdict == LawVerdict::amdahl ? 1 : 0;
    CHECK(choose_law(points_of(universal, kCounts, 15, 0.02, seed)).verdict == LawVerdict::universal);
  }
  CHECK(simple >= 16);
  const LawChoice choice = choose_law(points_of(universal, kCounts, 15, 0.02));
  REQUIRE(choice.preferred() != nullptr);
  CHECK(choice.preferred()->law.coherence > 0);
}

TEST_CASE("laws: two points test no law, and what no law describes has none") {
  const LawChoice two = choose_law(exact({{1, 1.0}, {2, 0.55}}));
  CHECK(two.verdict == LawVerdict::too_few);
  CHECK_FALSE(two.universal.has_value());
  CHECK(two.preferred()->law.serial == doctest::Approx(0.1));
  // Two threads eleven times as slow as one: not 100 % serial, but no law.
  const LawChoice busy = choose_law(exact({{1, 0.06}, {2, 0.66}}));
  CHECK(busy.verdict == LawVerdict::none);
  CHECK(busy.preferred() == nullptr);
  CHECK(busy.reason.find("no number of threads was faster than 1") != std::string::npos);
  // A step, as where a second socket begins: neither law has any.
  const LawChoice step = choose_law(exact({{1, 1.0}, {2, 0.5}, {4, 0.25}, {8, 0.9}, {16, 0.1}}));
  CHECK(step.verdict == LawVerdict::none);
}

TEST_CASE("laws: more than twice as fast on two threads is no law's, and a little more is within what is seen") {
  const LawChoice faster = choose_law(exact({{1, 1.0}, {2, 0.4}}));
  CHECK(faster.verdict == LawVerdict::none);
  CHECK(faster.preferred() == nullptr);
  CHECK(faster.reason.find("2 threads are over 2 times as fast as 1") != std::string::npos);
  CHECK(choose_law(exact({{2, 1.0}, {3, 0.5}})).reason.find("3 threads are over 1.5 times as fast as 2") !=
        std::string::npos);
  const LawChoice nearly = choose_law(exact({{1, 1.0}, {2, 0.495}}));
  CHECK(nearly.verdict == LawVerdict::too_few);
  CHECK(nearly.preferred()->law.serial == 0);
  // Caches that come with the cores: super-linear in the middle.
  CHECK(choose_law(exact({{1, 1.0}, {2, 0.5}, {4, 0.15}, {8, 0.14}})).verdict == LawVerdict::none);
}

TEST_CASE("laws: one round has a law, and nobody knows how sure it is") {
  const auto one_round = [](double sixteen) {
    return std::vector<LawPoint>{{1, {1.0}}, {2, {0.53}}, {4, {0.29}}, {16, {sixteen}}};
  };
  const LawChoice choice = choose_law(one_round(0.12));
  REQUIRE(choice.preferred() != nullptr);
  CHECK(choice.preferred()->law.serial == doctest::Approx(0.06).epsilon(0.1));
  CHECK_FALSE(choice.preferred()->serial.known());
  CHECK_FALSE(choice.universal->coherence.known());
  CHECK(std::isfinite(choice.amdahl.chi_squared));
  CHECK(choice.verdict == LawVerdict::amdahl);
  CHECK(choose_law(one_round(0.7)).verdict != LawVerdict::amdahl);
}

TEST_CASE("laws: no part of the work is less than nothing") {
  const FittedLaw faster = fit_law(LawKind::amdahl, exact({{1, 1.0}, {2, 0.4}}));  // more than twice as fast
  CHECK(faster.law.serial == 0);
  CHECK(faster.law.limit() == std::numeric_limits<double>::infinity());
  const FittedLaw slower = fit_law(LawKind::amdahl, exact({{1, 1.0}, {2, 1.5}}));
  CHECK(slower.law.serial == 1);
  CHECK(slower.law.speed_up(64) == doctest::Approx(1));
  CHECK_THROWS_AS(fit_law(LawKind::amdahl, exact({{2, 1.0}, {2, 1.1}})), Error);
}

}  // namespace hourglass::test
