#include "engine/report/polyline.h"

#include <algorithm>
#include <cmath>

namespace hourglass {

std::vector<Point> thin_out(const std::vector<Point>& points, double column) {
  std::vector<Point> result;
  std::size_t begin = 0;
  while (begin < points.size()) {
    const double here = std::floor(points[begin].x / column);
    std::size_t end = begin + 1;
    std::size_t low = begin, high = begin;
    for (; end < points.size() && std::floor(points[end].x / column) == here; ++end) {
      if (points[end].y < points[low].y) low = end;
      if (points[end].y > points[high].y) high = end;
    }
    std::vector<std::size_t> keep{begin, low, high, end - 1};
    std::sort(keep.begin(), keep.end());
    keep.erase(std::unique(keep.begin(), keep.end()), keep.end());
    for (const std::size_t i : keep) result.push_back(points[i]);
    begin = end;
  }
  return result;
}

std::vector<Point> sampled(const std::vector<Point>& points, double step) {
  std::vector<Point> result;
  for (std::size_t i = 0; i < points.size(); ++i) {
    result.push_back(points[i]);
    if (i + 1 == points.size()) break;
    const double x = points[i + 1].x - points[i].x, y = points[i + 1].y - points[i].y;
    const int pieces = static_cast<int>(std::ceil(std::hypot(x, y) / step));
    for (int k = 1; k < pieces; ++k) {
      const double share = static_cast<double>(k) / pieces;
      result.push_back({points[i].x + share * x, points[i].y + share * y});
    }
  }
  return result;
}

}  // namespace hourglass
