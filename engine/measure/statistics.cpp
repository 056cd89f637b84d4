#include "engine/measure/statistics.h"

#include <algorithm>
#include <cmath>

#include "graph/error.h"

namespace hourglass {

Spread spread_of(std::vector<double> values) {
  if (values.empty()) fail("no values to take the median of");
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double share) {
    const double position = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return std::lerp(values[below], values[above], position - static_cast<double>(below));
  };
  return {.median = quantile(0.5), .low = quantile(0.25), .high = quantile(0.75)};
}

}  // namespace hourglass
