// Ctrl-C and SIGTERM: the first asks the running work to finish its step and save, the second ends the program.
#pragma once

namespace hourglass::cli {

// Installs the handlers while it lives.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // SIGINT or SIGTERM once one has come, else 0.
  [[nodiscard]] int signal() const;
};

}  // namespace hourglass::cli
