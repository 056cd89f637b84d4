#include "engine/report/labels.h"

#include <doctest/doctest.h>

namespace hourglass::test {
namespace {

bool apart(const Box& a, const Box& b) {
  return a.right() <= b.x || b.right() <= a.x || a.bottom() <= b.y || b.bottom() <= a.y;
}

}  // namespace

TEST_CASE("labels that would meet move apart, in their order and inside the limits") {
  CHECK(spread({10, 50}, 16, 0, 100) == std::vector<double>{10, 50});
  CHECK(spread({52, 50, 51}, 16, 0, 100) == std::vector<double>{82, 50, 66});
  CHECK(spread({95, 99}, 16, 0, 100) == std::vector<double>{84, 100});
  CHECK(spread({-5}, 16, 0, 100) == std::vector<double>{0});
  CHECK(spread({}, 16, 0, 100).empty());
}

TEST_CASE("a label lies inside, clear of others, beside its point and off the line") {
  const Box area{0, 0, 100, 60};
  const Extent size{30, 12};
  for (const Point& point : {Point{0, 0}, Point{100, 0}, Point{100, 60}, Point{0, 60}, Point{50, 30}, Point{50, 0}}) {
    const Box box = place_label(point, size, area, {}, {});
    CAPTURE(point.x);
    CAPTURE(point.y);
    CHECK(box.x >= area.x);
    CHECK(box.right() <= area.right());
    CHECK(box.y >= area.y);
    CHECK(box.bottom() <= area.bottom());
  }
  const Box first = place_label({50, 30}, size, area, {}, {});
  const Box second = place_label({50, 30}, size, area, {first}, {});
  CHECK(apart(first, second));
  // A line to the right: the label goes elsewhere.
  std::vector<Point> line;
  for (int x = 50; x < 100; x += 2) line.push_back({static_cast<double>(x), 30});
  const Box third = place_label({50, 30}, size, area, {}, line);
  for (const Point& point : line) CHECK(apart(third, {point.x, point.y, 0.1, 0.1}));
}

}  // namespace hourglass::test
