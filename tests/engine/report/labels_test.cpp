#include "engine/report/labels.h"

#include <doctest/doctest.h>

namespace hourglass::test {
namespace {

Box place_label(const Point& beside, const Extent& size, const Box& area, const std::vector<Box>& taken,
                const std::vector<Point>& points) {
  return place_labels({{beside, size}}, area, taken, points).front();
}

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

TEST_CASE("of two points at an edge, each has its label on its own side, whichever comes first") {
  // A curve that rises to the lower point, and a line between the two: at the right edge, as where a fit ends.
  const Box area{0, 0, 900, 350};
  const Point upper{900, 15}, lower{900, 65};
  std::vector<Point> lines;
  for (int x = 0; x <= 900; x += 4) {
    lines.push_back({static_cast<double>(x), 40});
    lines.push_back({static_cast<double>(x), 65 + 0.0003 * (900 - x) * (900 - x)});
  }
  const PointLabel best{lower, {180, 13}}, restored{upper, {360, 13}};
  for (const bool turned : {false, true}) {
    const std::vector<Box> boxes =
        turned ? place_labels({restored, best}, area, {}, lines) : place_labels({best, restored}, area, {}, lines);
    const Box &of_best = boxes[turned ? 1 : 0], &of_restored = boxes[turned ? 0 : 1];
    CHECK(of_restored.bottom() < 40);
    CHECK(of_best.y > 40);
    for (const Box& box : boxes) {
      for (const Point& point : lines) CHECK(apart(box, {point.x, point.y, 0.1, 0.1}));
    }
  }
  CHECK(place_labels({}, area, {}, lines).empty());
}

TEST_CASE("a label beside its point needs no line, one further away has one from the point to its edge") {
  CHECK_FALSE(leader({50, 30}, {59, 24, 30, 12}).has_value());
  const auto line = leader({50, 30}, {80, 24, 30, 12});
  REQUIRE(line.has_value());
  CHECK(line->first.x == 50);
  CHECK(line->second.x == 80);
  CHECK(line->second.y == 30);
}

}  // namespace hourglass::test
