#include "engine/measure/comparison.h"

#include <doctest/doctest.h>

#include "engine/train/random.h"

namespace hourglass::test {
namespace {

NamedRounds rounds_of(const std::string& name, double seconds, double noise, uint64_t seed) {
  NamedRounds point{.name = name, .rounds = {}};
  for (const float x : draw_normal(seed, Stream::input, 0, 15, 0, static_cast<float>(noise))) {
    point.rounds.push_back(seconds * (1 + static_cast<double>(x)));
  }
  return point;
}

}  // namespace

TEST_CASE("comparison: faster, slower, and what is within the noise or the tolerance") {
  const std::vector<NamedRounds> before{rounds_of("a", 1, 0.01, 1), rounds_of("b", 1, 0.01, 2),
                                        rounds_of("c", 1, 0.2, 3), rounds_of("d", 1, 0.001, 4)};
  const std::vector<NamedRounds> now{rounds_of("a", 0.9, 0.01, 5), rounds_of("b", 1.1, 0.01, 6),
                                     rounds_of("c", 1.05, 0.2, 7), rounds_of("d", 1.01, 0.001, 8)};
  const Comparison comparison = compare(before, now, 0.02);
  REQUIRE(comparison.points.size() == 4);
  CHECK(comparison.points[0].verdict == Verdict::faster);
  CHECK(comparison.points[0].speed.value == doctest::Approx(1 / 0.9).epsilon(0.02));
  CHECK(comparison.points[1].verdict == Verdict::slower);
  CHECK(comparison.points[2].verdict == Verdict::no_difference);
  CHECK(comparison.points[3].verdict == Verdict::no_difference);
  CHECK(comparison.points[3].speed.high < 1);  // sure, and too little to count
  CHECK(compare(before, now, 0.005).points[3].verdict == Verdict::slower);
  CHECK(comparison.any(Verdict::slower));
}

TEST_CASE("comparison: the same thing measured twice differs in few of many comparisons") {
  int differ = 0;
  constexpr int kTrials = 200;
  for (uint64_t trial = 0; trial < kTrials; ++trial) {
    std::vector<NamedRounds> before, now;
    for (uint64_t point = 0; point < 4; ++point) {
      const std::string name(1, static_cast<char>('a' + point));
      before.push_back(rounds_of(name, 1, 0.05, 100 * trial + 2 * point));
      now.push_back(rounds_of(name, 1, 0.05, 100 * trial + 2 * point + 1));
    }
    const Comparison comparison = compare(before, now, 0);
    differ += comparison.any(Verdict::slower) || comparison.any(Verdict::faster) ? 1 : 0;
  }
  CAPTURE(differ);
  CHECK(differ <= 0.1 * kTrials);
  CHECK(differ >= 1);
}

TEST_CASE("comparison: points of one of the two are named") {
  const Comparison comparison = compare({rounds_of("a", 1, 0, 1), rounds_of("b", 1, 0, 1)},
                                        {rounds_of("b", 1, 0, 1), rounds_of("c", 1, 0, 1)}, 0);
  REQUIRE(comparison.points.size() == 1);
  CHECK(comparison.points[0].name == "b");
  CHECK(comparison.gone == std::vector<std::string>{"a"});
  CHECK(comparison.added == std::vector<std::string>{"c"});
}

TEST_CASE("comparison: a round or two say nothing of a difference") {
  const auto of = [](std::vector<double> rounds) { return std::vector<NamedRounds>{{"a", std::move(rounds)}}; };
  CHECK(compare(of({1}), of({2}), 0.02).points[0].verdict == Verdict::unknown);
  CHECK(compare(of({1, 1.01, 1.02, 1.03}), of({2, 2.01, 2.02, 2.03}), 0.02).points[0].verdict == Verdict::unknown);
  CHECK(compare(of({1, 1, 1, 1, 1}), of({2}), 0.02).points[0].verdict == Verdict::unknown);
  CHECK(compare(of({1, 1, 1, 1, 1.1}), of({2, 2, 2, 2, 2.1}), 0.02).points[0].verdict == Verdict::slower);
  // Where nothing differs, two rounds of each lie apart once in three times.
  int differ = 0;
  for (uint64_t trial = 0; trial < 100; ++trial) {
    const auto two = [](uint64_t seed) {
      NamedRounds point = rounds_of("a", 1, 0.05, seed);
      point.rounds.resize(2);
      return std::vector<NamedRounds>{point};
    };
    const Comparison comparison = compare(two(2 * trial), two(2 * trial + 1), 0);
    differ += comparison.any(Verdict::slower) || comparison.any(Verdict::faster) ? 1 : 0;
  }
  CHECK(differ == 0);
}

}  // namespace hourglass::test
