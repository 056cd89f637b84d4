#include "engine/measure/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/train/random.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// Of sorted values.
double quantile(const std::vector<double>& sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

double median_at(const std::vector<double>& values, std::span<const int> drawn) {
  std::vector<double> some;
  some.reserve(drawn.size());
  for (const int i : drawn) some.push_back(values[static_cast<std::size_t>(i)]);
  return median_of(std::move(some));
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  if (values.empty()) fail("no values to take the median of");
  std::sort(values.begin(), values.end());
  return {.median = quantile(values, 0.5), .low = quantile(values, 0.25), .high = quantile(values, 0.75)};
}

double median_of(std::vector<double> values) { return spread_of(std::move(values)).median; }

std::vector<double> bootstrap(int rounds, const std::function<double(std::span<const int> drawn)>& statistic,
                              uint64_t seed) {
  std::vector<double> resampled;
  std::vector<int> drawn(static_cast<std::size_t>(rounds));
  const auto count = static_cast<float>(rounds);
  for (int i = 0; i < kResamples; ++i) {
    const std::vector<float> uniform =
        draw_uniform(seed, Stream::bootstrap, static_cast<uint32_t>(i), rounds, 0, count);
    std::transform(uniform.begin(), uniform.end(), drawn.begin(),
                   [&](float x) { return std::min(static_cast<int>(x), rounds - 1); });
    resampled.push_back(statistic(drawn));
  }
  return resampled;
}

Interval unknown_interval(double value) {
  return {.value = value, .low = 0, .high = std::numeric_limits<double>::infinity()};
}

Interval percentile_interval(double value, std::vector<double> resampled, double tail) {
  std::sort(resampled.begin(), resampled.end());
  return {.value = value, .low = quantile(resampled, tail), .high = quantile(resampled, 1 - tail)};
}

Interval median_interval(const std::vector<double>& rounds) {
  const double median = median_of(rounds);
  if (rounds.size() == 1) return unknown_interval(median);
  if (rounds.size() < kLeastForInterval) {
    const auto [low, high] = std::minmax_element(rounds.begin(), rounds.end());
    return {.value = median, .low = *low, .high = *high};
  }
  return percentile_interval(median, bootstrap(static_cast<int>(rounds.size()),
                                               [&](std::span<const int> drawn) { return median_at(rounds, drawn); }));
}

Interval ratio_interval(const std::vector<double>& numerator, const std::vector<double>& denominator, Pairing pairing,
                        double tail) {
  const double ratio = median_of(numerator) / median_of(denominator);
  if (pairing == Pairing::same_rounds && numerator.size() != denominator.size()) {
    fail("rounds to be drawn together are not equally many");
  }
  if (numerator.size() == 1 || denominator.size() == 1) return unknown_interval(ratio);
  if (pairing == Pairing::same_rounds) {
    return percentile_interval(ratio,
                               bootstrap(static_cast<int>(numerator.size()),
                                         [&](std::span<const int> drawn) {
                                           return median_at(numerator, drawn) / median_at(denominator, drawn);
                                         }),
                               tail);
  }
  const auto medians = [](const std::vector<double>& values, uint64_t seed) {
    return bootstrap(
        static_cast<int>(values.size()), [&](std::span<const int> drawn) { return median_at(values, drawn); }, seed);
  };
  std::vector<double> above = medians(numerator, 1);
  const std::vector<double> below = medians(denominator, 2);
  for (std::size_t i = 0; i < above.size(); ++i) above[i] /= below[i];
  return percentile_interval(ratio, std::move(above), tail);
}

std::vector<double> far_out(const std::vector<double>& values) {
  const Spread spread = spread_of(values);
  constexpr double kFar = 3;
  const double beyond = kFar * (spread.high - spread.low);
  std::vector<double> some;
  std::copy_if(values.begin(), values.end(), std::back_inserter(some),
               [&](double x) { return x < spread.low - beyond || x > spread.high + beyond; });
  std::sort(some.begin(), some.end());
  return some;
}

}  // namespace hourglass
