#include "engine/report/labels.h"

#include <algorithm>
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
  // What a unit of area outside or over another label costs, against one point of the data.
  constexpr double kOutside = 50, kTaken = 5;
  Box best;
  double least = std::numeric_limits<double>::infinity();
  for (const Box& place : places) {
    double cost = kOutside * (place.width * place.height - overlap(place, area));
    for (const Box& other : taken) cost += kTaken * overlap(place, other);
    cost += static_cast<double>(
        std::count_if(points.begin(), points.end(), [&](const Point& point) { return contains(place, point); }));
    if (cost < least) {
      least = cost;
      best = place;
    }
  }
  return best;
}

Box place_label(const Point& beside, const Extent& label, const Box& area, const std::vector<Box>& taken,
                const std::vector<Point>& points) {
  std::vector<Box> places;
  for (const double gap : {9.0, 22.0, 38.0, 60.0}) {
    const double right = beside.x + gap, left = beside.x - gap - label.width, x = beside.x - label.width / 2;
    const double above = beside.y - gap - label.height, below = beside.y + gap, y = beside.y - label.height / 2;
    for (const Point& corner : {Point{right, y}, Point{right, above}, Point{right, below}, Point{left, y},
                                Point{left, above}, Point{left, below}, Point{x, above}, Point{x, below}}) {
      places.push_back({corner.x, corner.y, label.width, label.height});
    }
  }
  return best_place(places, area, taken, points);
}

}  // namespace hourglass
