#include "engine/cli/time_left.h"

#include <doctest/doctest.h>

namespace hourglass::cli {

TEST_CASE("the range holds the truth of a steady run and narrows") {
  TimeLeft left;
  CHECK(!left.until(1000));
  left.add(1, 3.0);  // the first iteration took three seconds, and does not count
  CHECK(!left.until(1000));
  double width = 1e9;
  for (int64_t i = 2; i <= 600; ++i) {
    left.add(i, 3.0 + 0.1 * static_cast<double>(i - 1));
    const auto range = left.until(1000);
    REQUIRE(range.has_value());
    const double truth = 0.1 * static_cast<double>(1000 - i);
    CHECK(range->low < truth);
    CHECK(range->high > truth);
    if (i % 100 == 0) {
      CHECK((range->high - range->low) / truth < width);
      width = (range->high - range->low) / truth;
    }
  }
  CHECK(width < 0.1);
  left.add(1000, 103);
  CHECK(left.until(1000)->high == 0);
}

TEST_CASE("a run that becomes slower widens the range at once") {
  TimeLeft left;
  for (int64_t i = 1; i <= 300; ++i) left.add(i, 0.1 * static_cast<double>(i));
  for (int64_t i = 1; i <= 30; ++i) left.add(300 + i, 30 + static_cast<double>(i));
  const auto range = left.until(430);
  REQUIRE(range.has_value());
  CHECK(range->low < 10.5);
  CHECK(range->high > 99);
}

}  // namespace hourglass::cli
