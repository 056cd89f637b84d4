// Where labels go so that they hide neither each other nor the data.
#pragma once

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

// The best place for a label of this size beside the point: inside `area`, clear of `taken`, covering the fewest of
// `points`.
Box place_label(const Point& beside, const Extent& label, const Box& area, const std::vector<Box>& taken,
                const std::vector<Point>& points);

}  // namespace hourglass
