// Where labels go so that they hide neither each other nor the data.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "engine/report/canvas.h"

namespace hourglass {

// Moves the centres as little as the order allows until they lie at least `distance` apart and within [low, high], as
// far as there is room. The result belongs to `centres` index by index.
std::vector<double> spread(const std::vector<double>& centres, double distance, double low, double high);

// Of places for a label, the one inside `area`, clear of `taken`, that covers the fewest of `points`; the first of
// equals.
Box best_place(const std::vector<Box>& places, const Box& area, const std::vector<Box>& taken,
               const std::vector<Point>& points);

// A label of this size that belongs to a point.
struct PointLabel {
  Point beside;
  Extent size;
};

// The line from a point to its label; none where they are so near that eyes need none.
std::optional<std::pair<Point, Point>> leader(const Point& point, const Box& label);

// Places for labels beside their points: inside `area`, clear of `taken` and of each other, near, covering the fewest of
// `points`, and without leaders that cross. The first label that is placed has the choice, so each is the first once,
// the others behind it in their order, and the best of these arrangements is taken.
std::vector<Box> place_labels(const std::vector<PointLabel>& labels, const Box& area, const std::vector<Box>& taken,
                              const std::vector<Point>& points);

}  // namespace hourglass
