// Whether threads that wait for each other should spin or sleep, found by trying both.
//
// Where no thread of the team stands ready without a CPU, spinning is faster, and nothing is tried. Where they do, the
// other way is tried for a moment now and then, and kept where plans run faster by it: that depends on how many
// programs want the CPUs, and on how the scheduler has placed them. See waiting.h.
#pragma once

#include <cstdint>

namespace hourglass {

class WaitingRule {
 public:
  // Whether to sleep from now on, after an interval of `seconds` in which a thread of the team was kept from a CPU for
  // `share` of the time, in the mean over the threads, and in which `runs` runs of plans ended. To be called interval
  // by interval; these are a fiftieth of a second or longer.
  bool sleep_after(double seconds, double share, int64_t runs);

 private:
  enum class Phase { steady, tried, compared };

  // Intervals in one way of waiting, until they are long enough to say how fast it is.
  struct Window {
    double seconds = 0, seconds_queued = 0;
    int64_t runs = 0;
    [[nodiscard]] bool is_full() const;
    [[nodiscard]] double rate() const { return static_cast<double>(runs) / seconds; }
    [[nodiscard]] double share() const { return seconds_queued / seconds; }
  };

  void begin_try();
  // The try is over: the way it tried stays, or the one before comes back.
  void end_try(bool keep);

  bool asleep_ = false;
  bool begun_ = false;  // a run has ended: before the first there may be work of another kind
  Phase phase_ = Phase::steady;
  Window window_;
  double rate_before_ = 0, rate_tried_ = 0;  // runs a second
  double seconds_to_try_ = 0;                // until the next try
  static constexpr double kFirstPause = 0.5;
  double pause_ = kFirstPause;  // between tries, seconds
};

}  // namespace hourglass
