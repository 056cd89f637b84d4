// What a set of timings says: its middle and its spread.
#pragma once

#include <vector>

namespace hourglass {

struct Spread {
  double median = 0;
  double low = 0, high = 0;  // first and third quartile
};

// Quartiles by linear interpolation between order statistics. Throws Error for an empty set.
Spread spread_of(std::vector<double> values);

}  // namespace hourglass
