#include "engine/runtime/arena.h"

#include <doctest/doctest.h>

#include <array>
#include <random>

namespace hourglass::test {

TEST_CASE("values that live together never share memory") {
  std::mt19937 random(3);
  double totals = 0, peaks = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> lifetimes;
    for (int i = 0; i < 60; ++i) {
      const int first = static_cast<int>(random() % 40);
      lifetimes.push_back(
          {.bytes = 1 + random() % 5000, .first = first, .last = first + static_cast<int>(random() % 8)});
    }
    const std::size_t total = assign_offsets(lifetimes);
    for (std::size_t i = 0; i < lifetimes.size(); ++i) {
      const Lifetime& a = lifetimes[i];
      CHECK(a.offset % kAlignment == 0);
      CHECK(a.offset + a.bytes <= total);
      for (std::size_t k = 0; k < i; ++k) {
        const Lifetime& b = lifetimes[k];
        const bool together = a.first <= b.last && b.first <= a.last;
        const bool overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
        CHECK_FALSE((together && overlap));
      }
    }
    CHECK(total >= peak_of(lifetimes));
    totals += static_cast<double>(total);
    peaks += static_cast<double>(peak_of(lifetimes));
  }
  // By size, area and duration alone 1.027.
  CHECK(totals <= 1.01 * peaks);
}

// The largest values of a training step of the standard network, in steps of its plan.
TEST_CASE("long lives first where largest first leaves gaps") {
  std::vector<Lifetime> lifetimes;
  for (const auto& [first, last, units] : {std::array{54, 56, 128},
                                           {56, 80, 128},
                                           {58, 76, 128},
                                           {75, 79, 128},
                                           {79, 85, 128},
                                           {82, 87, 128},
                                           {85, 86, 132}}) {
    lifetimes.push_back({.bytes = static_cast<std::size_t>(units) * 64, .first = first, .last = last});
  }
  CHECK(assign_offsets(lifetimes) == peak_of(lifetimes));
}

TEST_CASE("a chain needs two buffers, not all of them") {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 100; ++i) chain.push_back({.bytes = 640, .first = i, .last = i + 1});
  CHECK(assign_offsets(chain) == 2 * 640);
}

}  // namespace hourglass::test
