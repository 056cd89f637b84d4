#include "engine/cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace hourglass::cli {
namespace {

std::atomic<int> received{0};

void on_signal(int number) {
  received = number;
  // The next one gets the default treatment: it ends the program.
  std::signal(number, SIG_DFL);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

int InterruptGuard::signal() const { return received; }

}  // namespace hourglass::cli
