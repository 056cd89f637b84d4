#include "engine/cli/interrupt.h"

#include <signal.h>  // sigaction is POSIX
#include <time.h>    // so is clock_gettime, which a handler may call

#include <atomic>

namespace hourglass::cli {
namespace {

// timeout(1) sends two at once, to the program and to its group; nobody who means to end it is that quick.
constexpr int64_t kSecondAfter = 500'000'000;  // nanoseconds

std::atomic<int> received{0};
std::atomic<int64_t> received_at{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free);

int64_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void on_signal(int number) {
  if (received == 0) {
    received_at = now();
    received = number;
  } else if (now() - received_at >= kSecondAfter) {
    // The default treatment, as soon as the handler has returned.
    ::signal(number, SIG_DFL);
    ::raise(number);
  }
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(kSignals[i], nullptr, &before_[i]);
    // What nohup, or a shell for what it runs in the background, has the program ignore stays ignored.
    if (before_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
}

int InterruptGuard::signal() const { return received; }

}  // namespace hourglass::cli
