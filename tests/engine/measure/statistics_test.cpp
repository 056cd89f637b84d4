#include "engine/measure/statistics.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/train/random.h"
#include "graph/error.h"

namespace hourglass::test {
namespace {

// Seconds around `middle` with a long tail to the slow side, as timings have; their median is `middle`.
std::vector<double> timings(uint64_t seed, int count, double middle, double sigma) {
  std::vector<double> values;
  for (const float x : draw_normal(seed, Stream::input, 0, count, 0, static_cast<float>(sigma))) {
    values.push_back(middle * std::exp(static_cast<double>(x)));
  }
  return values;
}

}  // namespace

TEST_CASE("quartiles interpolate between values") {
  const Spread spread = spread_of({4, 1, 3, 2});
  CHECK(spread.median == doctest::Approx(2.5));
  CHECK(spread.low == doctest::Approx(1.75));
  CHECK(spread.high == doctest::Approx(3.25));
  CHECK(spread_of({7}).median == 7);
  CHECK_THROWS_AS(spread_of({}), Error);
}

TEST_CASE("bootstrap: an interval holds the true median in about 95 of 100 measurements") {
  constexpr int kTrials = 400;
  constexpr double kTruth = 0.03;
  for (const int rounds : {5, 9, 25}) {
    int held = 0, below = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      const Interval interval = median_interval(timings(static_cast<uint64_t>(trial), rounds, kTruth, 0.1));
      held += interval.holds(kTruth) ? 1 : 0;
      below += kTruth < interval.low ? 1 : 0;
    }
    CAPTURE(rounds);
    CAPTURE(held);
    // Five standard deviations of a share of 0.95 in 400 trials are 0.054; what a median's percentiles miss, some more.
    CHECK(held >= 0.88 * kTrials);
    CHECK(held < kTrials);
    // It misses on either side alike.
    CHECK(below >= 1);
    CHECK(below <= 0.08 * kTrials);
  }
}

TEST_CASE("bootstrap: more rounds, a narrower interval; the same rounds, the same interval") {
  const Interval few = median_interval(timings(1, 8, 1, 0.1)), many = median_interval(timings(1, 128, 1, 0.1));
  CHECK(many.high - many.low < 0.5 * (few.high - few.low));
  const Interval again = median_interval(timings(1, 8, 1, 0.1));
  CHECK(again.low == few.low);
  CHECK(again.high == few.high);
  CHECK(few.low <= few.value);
  CHECK(few.value <= few.high);
}

TEST_CASE("bootstrap: from fewer than five rounds an interval spans all of them") {
  const Interval interval = median_interval({3, 1, 2});
  CHECK(interval.value == 2);
  CHECK(interval.low == 1);
  CHECK(interval.high == 3);
  CHECK(Interval{.value = 2, .low = 1, .high = 3}.relative_width() == doctest::Approx(0.5));
}

TEST_CASE("bootstrap: one round says nothing of how sure it is") {
  for (const Interval& one :
       {median_interval({3}), ratio_interval({3}, {1}, Pairing::same_rounds),
        ratio_interval({3}, {1, 1}, Pairing::independent), ratio_interval({3, 3}, {1}, Pairing::independent)}) {
    CHECK(one.value == 3);
    CHECK_FALSE(one.known());
    CHECK(one.low == 0);
    CHECK(one.holds(1));
    CHECK(one.holds(1e9));
    CHECK(one.relative_width() > 1e9);
  }
  CHECK(median_interval({3, 3}).known());
  CHECK(ratio_interval({3, 4}, {1, 1}, Pairing::same_rounds).known());
}

TEST_CASE("ratios: what hits both in the same rounds cancels") {
  // A machine that is up to three times slower in some rounds; the second thing takes half as long in each.
  std::vector<double> slow, fast;
  for (const double x : timings(3, 30, 1, 0.5)) {
    slow.push_back(x);
    fast.push_back(0.5 * x);
  }
  const Interval paired = ratio_interval(slow, fast, Pairing::same_rounds);
  CHECK(paired.value == doctest::Approx(2));
  CHECK(paired.low == doctest::Approx(2));
  CHECK(paired.high == doctest::Approx(2));
  const Interval apart = ratio_interval(slow, fast, Pairing::independent);
  CHECK(apart.low < 1.9);
  CHECK(apart.high > 2.1);
  CHECK_THROWS_AS(ratio_interval({1, 2}, {1}, Pairing::same_rounds), Error);
}

TEST_CASE("far out: a value beyond three times the quartiles' distance") {
  CHECK(far_out({1, 2, 3, 4, 5, 6, 7, 8, 9}).empty());
  CHECK(far_out({10, 11, 12, 13, 14, 11, 12, 13, 50, 0.1}) == std::vector<double>{0.1, 50});
}

}  // namespace hourglass::test
