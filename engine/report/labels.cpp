#include "engine/report/labels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace hourglass {
namespace {

double overlap(const Box& a, const Box& b) {
  const double width = std::min(a.right(), b.right()) - std::max(a.x, b.x);
  const double height = std::min(a.bottom(), b.bottom()) - std::max(a.y, b.y);
  return width > 0 && height > 0 ? width * height : 0;
}

bool contains(const Box& box, const Point& point) {
  return point.x >= box.x && point.x <= box.right() && point.y >= box.y && point.y <= box.bottom();
}

// What a unit of area outside or over something else costs, against one point of the data.
constexpr double kOutside = 50, kTaken = 5;

double cost_of(const Box& place, const Box& area, const std::vector<Box>& taken, const std::vector<Point>& points) {
  double cost = kOutside * (place.width * place.height - overlap(place, area));
  for (const Box& other : taken) cost += kTaken * overlap(place, other);
  return cost + static_cast<double>(std::count_if(points.begin(), points.end(),
                                                  [&](const Point& point) { return contains(place, point); }));
}

// Twice the area of the triangle; its sign says on which side of the line from a to b the point c lies.
double side_of(const Point& a, const Point& b, const Point& c) {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

bool cross(const std::pair<Point, Point>& one, const std::pair<Point, Point>& other) {
  return side_of(one.first, one.second, other.first) * side_of(one.first, one.second, other.second) < 0 &&
         side_of(other.first, other.second, one.first) * side_of(other.first, other.second, one.second) < 0;
}

bool meets(const std::pair<Point, Point>& line, const Box& box) {
  const Point left_top{box.x, box.y}, right_top{box.right(), box.y};
  const Point left_bottom{box.x, box.bottom()}, right_bottom{box.right(), box.bottom()};
  return contains(box, line.first) || contains(box, line.second) || cross(line, {left_top, right_bottom}) ||
         cross(line, {right_top, left_bottom});
}

// A label where it could be.
struct Place {
  Box box;
  std::optional<std::pair<Point, Point>> leader;
  double cost;  // whatever the other labels are
};

double cost_between(const Place& one, const Place& other) {
  constexpr double kCrossing = 300;
  double cost = kTaken * overlap(one.box, other.box);
  if (one.leader && other.leader && cross(*one.leader, *other.leader)) cost += kCrossing;
  for (const auto& [line, box] : {std::pair(one.leader, other.box), std::pair(other.leader, one.box)}) {
    if (line && meets(*line, box)) cost += kCrossing;
  }
  return cost;
}

std::vector<Place> places_of(const PointLabel& label, const Box& area, const std::vector<Box>& taken,
                             const std::vector<Point>& points) {
  constexpr double kFar = 0.1;  // a pixel of distance
  const auto& [beside, size] = label;
  std::vector<Place> places;
  for (const double gap : {9.0, 22.0, 38.0, 60.0}) {
    const double right = beside.x + gap, left = beside.x - gap - size.width, x = beside.x - size.width / 2;
    const double above = beside.y - gap - size.height, below = beside.y + gap, y = beside.y - size.height / 2;
    for (const Point& corner : {Point{right, y}, Point{right, above}, Point{right, below}, Point{left, y},
                                Point{left, above}, Point{left, below}, Point{x, above}, Point{x, below}}) {
      const Box box{corner.x, corner.y, size.width, size.height};
      places.push_back(
          {.box = box, .leader = leader(beside, box), .cost = kFar * gap + cost_of(box, area, taken, points)});
    }
  }
  return places;
}

}  // namespace

std::vector<double> spread(const std::vector<double>& centres, double distance, double low, double high) {
  std::vector<std::size_t> order(centres.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return centres[a] < centres[b]; });
  std::vector<double> result = centres;
  double least = low;
  for (const std::size_t i : order) {
    result[i] = std::max(result[i], least);
    least = result[i] + distance;
  }
  double most = high;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    result[*i] = std::min(result[*i], most);
    most = result[*i] - distance;
  }
  return result;
}

Box best_place(const std::vector<Box>& places, const Box& area, const std::vector<Box>& taken,
               const std::vector<Point>& points) {
  Box best;
  double least = std::numeric_limits<double>::infinity();
  for (const Box& place : places) {
    const double cost = cost_of(place, area, taken, points);
    if (cost < least) {
      least = cost;
      best = place;
    }
  }
  return best;
}

std::optional<std::pair<Point, Point>> leader(const Point& point, const Box& label) {
  constexpr double kApart = 14;
  const Point near{std::clamp(point.x, label.x, label.right()), std::clamp(point.y, label.y, label.bottom())};
  if (std::hypot(near.x - point.x, near.y - point.y) <= kApart) return {};
  return std::pair(point, near);
}

std::vector<Box> place_labels(const std::vector<PointLabel>& labels, const Box& area, const std::vector<Box>& taken,
                              const std::vector<Point>& points) {
  std::vector<std::vector<Place>> places;
  places.reserve(labels.size());
  for (const PointLabel& label : labels) places.push_back(places_of(label, area, taken, points));
  std::vector<Box> best(labels.size());
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t first = 0; first < labels.size(); ++first) {
    std::vector<std::size_t> order{first};
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (i != first) order.push_back(i);
    }
    std::vector<Place> chosen;
    double total = 0;
    for (const std::size_t i : order) {
      const auto cost = [&](const Place& place) {
        double sum = place.cost;
        for (const Place& other : chosen) sum += cost_between(place, other);
        return sum;
      };
      const Place place = *std::min_element(places[i].begin(), places[i].end(), [&](const Place& a, const Place& b) {
        return cost(a) < cost(b);
      });
      total += cost(place);
      chosen.push_back(place);
    }
    if (total >= least) continue;
    least = total;
    for (std::size_t k = 0; k < order.size(); ++k) best[order[k]] = chosen[k].box;
  }
  return best;
}

}  // namespace hourglass
