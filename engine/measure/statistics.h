// What a set of timings says: its middle, its spread, how sure the middle is, and what lies far off.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace hourglass {

struct Spread {
  double median = 0;
  double low = 0, high = 0;  // first and third quartile
};

// Quartiles by linear interpolation between order statistics. Throws Error for an empty set.
Spread spread_of(std::vector<double> values);
double median_of(std::vector<double> values);

// A value above 0 and where it would lie in 95 of 100 repetitions of the measurement. One round says nothing of that:
// then it may lie anywhere, between 0 and infinity.
struct Interval {
  double value = 0;
  double low = 0, high = 0;

  [[nodiscard]] bool known() const { return std::isfinite(high); }
  [[nodiscard]] bool holds(double x) const { return low <= x && x <= high; }
  // Half the interval's width, as a share of the value; infinite where it is not known.
  [[nodiscard]] double relative_width() const { return value != 0 ? (high - low) / (2 * value) : 0; }
};

// The bootstrap by percentiles (Efron, Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): what is
// measured in rounds is drawn again from them, round by round with replacement, kResamples times. Timings within a
// round share what the machine was doing then, and say little more than their median does; so rounds are what is drawn.
//
// From fewer than kLeastForInterval rounds no such interval follows; then it spans all that was seen, which holds the
// truth in 50 of 100 cases for two rounds, 75 for three and 88 for four. Even of five it is that in effect, and holds
// it in 94. Of one round it is unknown.
inline constexpr int kLeastForInterval = 5;
inline constexpr int kResamples = 1000;
inline constexpr double kConfidenceTail = 0.025;  // the share beyond each end of an interval

// statistic(rounds) for each resample: indices of rounds, `rounds` of them, drawn from `seed` (train/random.h).
std::vector<double> bootstrap(int rounds, const std::function<double(std::span<const int> drawn)>& statistic,
                              uint64_t seed = 0);
Interval unknown_interval(double value);
// All of them but `tail` at each end, around a value that was computed from the rounds as they are.
Interval percentile_interval(double value, std::vector<double> resampled, double tail = kConfidenceTail);

// The median over rounds; rounds[i] is what round i says, its own median for instance.
Interval median_interval(const std::vector<double>& rounds);
// The median of the numerator over that of the denominator. Paired: both were measured in the same rounds, which are
// drawn together, so that what hit both cancels; needs equal numbers of rounds. Otherwise each is drawn by itself.
enum class Pairing : uint8_t { same_rounds, independent };
Interval ratio_interval(const std::vector<double>& numerator, const std::vector<double>& denominator, Pairing pairing,
                        double tail = kConfidenceTail);

// Values more than three times the distance of the quartiles beyond these (J. W. Tukey, Exploratory Data Analysis,
// 1977, section 2D: "far out"), ascending.
std::vector<double> far_out(const std::vector<double>& values);

}  // namespace hourglass
