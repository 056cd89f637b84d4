#include "engine/cli/time_left.h"

#include <algorithm>
#include <cmath>

namespace hourglass::cli {
namespace {

constexpr double kStretch = 5;      // seconds whose mean speed counts
constexpr std::size_t kMarks = 13;  // twelve stretches: a minute

}  // namespace

void TimeLeft::add(int64_t done, double seconds) {
  last_ = {done, seconds};
  if (!first_) first_ = last_;
  if (marks_.empty() || seconds - marks_.back().seconds >= kStretch) marks_.push_back(last_);
  if (marks_.size() > kMarks) marks_.pop_front();
}

std::optional<TimeLeft::Range> TimeLeft::until(int64_t total) const {
  if (!first_ || last_.done <= first_->done || last_.seconds <= first_->seconds) return std::nullopt;
  const auto pace = [](const Mark& from, const Mark& to) {
    return (to.seconds - from.seconds) / static_cast<double>(to.done - from.done);
  };
  const double whole = pace(*first_, last_);
  double fastest = whole, slowest = whole;
  for (std::size_t i = 1; i < marks_.size(); ++i) {
    if (marks_[i].done == marks_[i - 1].done) continue;
    fastest = std::min(fastest, pace(marks_[i - 1], marks_[i]));
    slowest = std::max(slowest, pace(marks_[i - 1], marks_[i]));
  }
  // What is still to come may be unlike what was seen: by a third after a second, by a tenth after ten.
  const double doubt = 1 + 1 / (3 * std::sqrt(std::max(1.0, last_.seconds - first_->seconds)));
  const auto left = static_cast<double>(std::max<int64_t>(0, total - last_.done));
  return Range{.low = left * fastest / doubt, .high = left * slowest * doubt};
}

}  // namespace hourglass::cli
