// Whole units that hold a length.
#pragma once

#include <cstdint>

namespace hourglass {

inline int64_t divide_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }
// To the next multiple of the unit.
inline int64_t round_up(int64_t value, int64_t unit) { return divide_up(value, unit) * unit; }

}  // namespace hourglass
