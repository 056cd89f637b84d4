// The threads that compute, while something is computed.
//
//   const Team team(4);
//   for (const Step& step : steps_) step.kernel->run();
#pragma once

#include <vector>

#include "engine/runtime/placement.h"

namespace hourglass {

// As long as it lives, parallel loops that the calling thread starts have `threads` threads, and all of them take
// denormal numbers (below 1e-38) for zero, where the CPU can. What decays towards zero, a momentum without gradient,
// ends there, and on Intel's CPUs arithmetic with it is a hundred times slower. There is one at a time for a calling
// thread.
class Team {
 public:
  // Thread i, the calling one first, is kept to places[i]; without places, to nothing. Where the calling one was
  // before, it is again when the team ends, so that what it begins in between goes anywhere.
  explicit Team(int threads, const std::vector<CpuSet>& places = {}) noexcept;
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
};

}  // namespace hourglass
