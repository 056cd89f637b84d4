// Lines of many points, cut down to what can be seen.
#pragma once

#include <vector>

#include "engine/report/canvas.h"

namespace hourglass {

// The same line with fewer points: of each run within one column of `column` units, the first, the lowest, the highest
// and the last. Drawn with a pen as wide as a column, the picture stays the same (M4: Jugel, Jerzak, Hackenbroich,
// Markl, "M4: a visualization-oriented time series data aggregation", VLDB 2014).
std::vector<Point> thin_out(const std::vector<Point>& points, double column = 1);

// Points along the line, at most `step` apart.
std::vector<Point> sampled(const std::vector<Point>& points, double step);

}  // namespace hourglass
