// How long a run will take yet, as a range that says how sure that is.
//
//   TimeLeft left;
//   left.add(done, seconds);                   // after every iteration
//   if (const auto range = left.until(total))  // seconds, from .low to .high
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace hourglass::cli {

class TimeLeft {
 public:
  struct Range {
    double low = 0, high = 0;
  };

  // `done` iterations took `seconds`. Both grow; what came before the first call counts for nothing.
  void add(int64_t done, double seconds);
  // From the fastest and the slowest of the latest stretches and of the whole; wider while little has been seen.
  // Nothing before the second iteration.
  [[nodiscard]] std::optional<Range> until(int64_t total) const;

 private:
  struct Mark {
    int64_t done;
    double seconds;
  };
  std::optional<Mark> first_;
  std::deque<Mark> marks_;  // at least kStretch apart, oldest first
  Mark last_{};
};

}  // namespace hourglass::cli
