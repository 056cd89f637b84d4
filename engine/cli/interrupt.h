// Ctrl-C, SIGTERM and SIGHUP: the first asks the running work to finish its step and save; another, half a second later
// or more, ends the program.
#pragma once

#include <signal.h>  // sigaction is POSIX

#include <array>

namespace hourglass::cli {

// Installs the handlers while it lives, but none for a signal that the program was started to ignore.
class InterruptGuard {
 public:
  static constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};

  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // SIGINT, SIGTERM or SIGHUP once one has come, else 0.
  [[nodiscard]] int signal() const;

 private:
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace hourglass::cli
