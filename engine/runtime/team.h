// The threads that compute, while something is computed.
//
//   const Team team(4);
//   for (const Step& step : steps_) step.kernel->run();
#pragma once

namespace hourglass {

// As long as it lives, parallel loops that the calling thread starts have `threads` threads, and all of them take
// denormal numbers (below 1e-38) for zero, where the CPU can. What decays towards zero, a momentum without gradient,
// ends there, and on Intel's CPUs arithmetic with it is a hundred times slower. There is one at a time for a calling
// thread.
class Team {
 public:
  explicit Team(int threads) noexcept;
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
};

}  // namespace hourglass
