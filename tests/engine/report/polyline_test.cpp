#include "engine/report/polyline.h"

#include <doctest/doctest.h>

#include <cmath>

namespace hourglass::test {

TEST_CASE("a thinned line keeps each column's first, lowest, highest and last point") {
  const std::vector<Point> thin = thin_out({{0.1, 5}, {0.2, 1}, {0.3, 9}, {0.4, 4}, {0.5, 6}, {1.5, 2}, {2.1, 3}});
  REQUIRE(thin.size() == 6);
  const double ys[] = {5, 1, 9, 6, 2, 3};
  for (std::size_t i = 0; i < thin.size(); ++i) CHECK(thin[i].y == ys[i]);
  CHECK(thin_out({}).empty());
  CHECK(thin_out({{3, 4}}).size() == 1);

  std::vector<Point> long_line;
  for (int i = 0; i < 40000; ++i) long_line.push_back({i * 700.0 / 40000, std::sin(i * 12.9898) * 100});
  CHECK(thin_out(long_line).size() <= 4 * 700);
  CHECK(thin_out(long_line).size() > 2 * 700);
  CHECK(thin_out(long_line).back().x == long_line.back().x);
}

TEST_CASE("samples along a line are no farther apart than asked") {
  const std::vector<Point> points = sampled({{0, 0}, {3, 4}, {3, 4}, {30, 4}}, 2);
  CHECK(points.front().x == 0);
  CHECK(points.back().x == 30);
  for (std::size_t i = 1; i < points.size(); ++i) {
    CHECK(std::hypot(points[i].x - points[i - 1].x, points[i].y - points[i - 1].y) <= 2 + 1e-9);
  }
}

}  // namespace hourglass::test
