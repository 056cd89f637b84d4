// Memory on the NUMA node whose threads use it. Linux puts a page on the node of the thread that first writes to it.
//
// A loop over a value gives thread i of n the i-th of n equal shares, neighbouring elements (ops/loops/parallel.h,
// oneDNN alike), so that thread writes the first zeros there.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/runtime/arena.h"

namespace hourglass {

// The thread that each page of an arena of `bytes` bytes belongs to: of the largest value that lies there, the one
// whose share holds the middle of the page. Pages without a value are divided evenly.
std::vector<int> page_owners(const std::vector<Lifetime>& values, std::size_t bytes, std::size_t page, int threads);

// Fills the block with zeros, each page by its owner in the team that the calling thread has now.
void zero_by_owners(char* data, std::size_t bytes, std::size_t page, const std::vector<int>& owners);

}  // namespace hourglass
