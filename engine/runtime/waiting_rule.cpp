#include "engine/runtime/waiting_rule.h"

#include <algorithm>

namespace hourglass {
namespace {

constexpr double kCalmShare = 0.02;  // below it the CPUs are this process's
constexpr double kClearly = 1.1;     // by how much a way must be faster to be kept
constexpr double kHopeless = 2;      // a try that takes so many times as long is given up
constexpr double kSeconds = 0.25;    // and so many runs at least say how fast a way is
constexpr int64_t kRuns = 3;
constexpr double kLongestPause = 8;  // between tries, seconds

}  // namespace

bool WaitingRule::Window::is_full() const { return seconds >= kSeconds && runs >= kRuns; }

void WaitingRule::begin_try() {
  phase_ = Phase::tried;
  asleep_ = !asleep_;
}

void WaitingRule::end_try(bool keep) {
  if (keep != (phase_ == Phase::tried)) asleep_ = !asleep_;
  // What is given up for a better one has just been measured too.
  pause_ = keep ? kLongestPause : std::min(2 * pause_, kLongestPause);
  seconds_to_try_ = pause_;
  phase_ = Phase::steady;
}

bool WaitingRule::sleep_after(double seconds, double share, int64_t runs) {
  if (!begun_) {
    begun_ = runs > 0;
    return asleep_;
  }
  window_.seconds += seconds;
  window_.seconds_queued += share * seconds;
  window_.runs += runs;
  seconds_to_try_ -= seconds;
  const bool hopeless = phase_ == Phase::tried && !window_.is_full() &&
                        window_.seconds > kHopeless * std::max(kSeconds, kRuns / rate_before_);
  if (!window_.is_full() && !hopeless) return asleep_;
  const Window window = window_;
  window_ = {};
  switch (phase_) {
    case Phase::steady: {
      rate_before_ = window.rate();
      const bool calm = window.share() < kCalmShare;
      if (calm && !asleep_) {
        pause_ = kFirstPause;
        seconds_to_try_ = 0;
      } else if (calm || seconds_to_try_ <= 0) {
        begin_try();
      }
      break;
    }
    case Phase::tried:
      if (hopeless) {
        end_try(false);
      } else {
        rate_tried_ = window.rate();
        asleep_ = !asleep_;
        phase_ = Phase::compared;
      }
      break;
    case Phase::compared: end_try(rate_tried_ > kClearly * std::max(rate_before_, window.rate())); break;
  }
  return asleep_;
}

}  // namespace hourglass
