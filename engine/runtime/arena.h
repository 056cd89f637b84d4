// Where each intermediate value lies: offsets in one block of memory, from lifetimes known in advance.
#pragma once

#include <cstddef>
#include <vector>

namespace hourglass {

// A value that must be in memory from step `first` to step `last`, both included.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0, last = 0;
  std::size_t offset = 0;  // the answer
};

inline constexpr std::size_t kAlignment = 64;

// Gives each lifetime an offset (a multiple of kAlignment) so that no two that overlap in time overlap in memory;
// returns the bytes needed. Each gets the lowest offset that fits, in the best of three orders: largest first, longest
// first, or largest product of both.
std::size_t assign_offsets(std::vector<Lifetime>& lifetimes);

// The most bytes alive in any one step: no assignment can need less.
std::size_t peak_of(const std::vector<Lifetime>& lifetimes);

}  // namespace hourglass
