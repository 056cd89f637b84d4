#include "engine/report/scale.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace hourglass {
namespace {

// What the rounding of an axis' ends may cost a tick that lies on one, as a share of the axis.
constexpr double kEdge = 1e-9;

int exponent_of(double value) { return static_cast<int>(std::floor(std::log10(value) + kEdge)); }

std::string superscript(int exponent) {
  constexpr std::array<std::string_view, 10> kDigits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text;
  if (exponent < 0) text = "⁻";
  for (const char digit : std::to_string(std::abs(exponent))) text += kDigits[static_cast<std::size_t>(digit - '0')];
  return text;
}

std::string group_thousands(std::string digits) {
  const std::size_t first = digits[0] == '-' ? 1 : 0;
  const std::size_t end = std::min(digits.find('.'), digits.size());
  for (std::size_t at = end; at > first + 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string scientific(double value, double step) {
  const int exponent = exponent_of(std::abs(value));
  const double scale = std::pow(10.0, exponent);
  const int decimals = std::max(0, -exponent_of(step / scale));
  const std::string mantissa = fmt::format("{:.{}f}", value / scale, decimals);
  if (mantissa == "1") return fmt::format("10{}", superscript(exponent));
  return fmt::format("{}×10{}", mantissa, superscript(exponent));
}

}  // namespace

double nice_step(double step) {
  const double power = std::pow(10.0, exponent_of(step));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= step * (1 - kEdge)) return factor * power;
  }
  return 10 * power;
}

std::string number_label(double value, double step) {
  if (std::abs(value) < step * kEdge) return "0";
  constexpr double kLargest = 1e6, kSmallestStep = 1e-4;
  if (std::abs(value) >= kLargest || step < kSmallestStep) return scientific(value, step);
  return group_thousands(fmt::format("{:.{}f}", value, std::max(0, -exponent_of(step))));
}

Scale::Scale(ScaleKind kind, double low, double high, const TickOptions& options)
    : kind_(kind), low_(low), high_(high) {
  if (!(high_ > low_)) {
    const double room = low_ == 0 ? 1 : std::abs(low_) / 10;
    low_ -= room;
    high_ += room;
  }
  if (!options.at.empty()) {
    for (const double value : options.at) {
      const double p = position(value);
      if (p >= -kEdge && p <= 1 + kEdge) ticks_.push_back({value, fmt::format("{:g}", value)});
    }
  } else if (kind_ == ScaleKind::linear || !place_log_ticks(options.most)) {
    place_nice_ticks(options.most);
  }
}

double Scale::position(double value) const {
  if (kind_ == ScaleKind::linear) return (value - low_) / (high_ - low_);
  return std::log10(value / low_) / std::log10(high_ / low_);
}

void Scale::place_nice_ticks(int most) {
  const double span = high_ - low_;
  double step = nice_step(span / most);
  const auto first = [&] { return std::ceil(low_ / step - kEdge); };
  const auto last = [&] { return std::floor(high_ / step + kEdge); };
  while (last() - first() + 1 > most) step = nice_step(step * 1.5);
  for (double i = first(); i <= last(); ++i) ticks_.push_back({i * step, number_label(i * step, step)});
}

// The densest of these that has room: every digit, 1 2 5, 1 3, decades, every second decade, ... False when a range is
// so short that nice numbers serve it better.
bool Scale::place_log_ticks(int most) {
  struct Choice {
    std::vector<int> digits;
    int decades;
  };
  std::vector<Choice> choices = {{{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1}, {{1, 2, 5}, 1}, {{1, 3}, 1}, {{1}, 1}};
  const int first = exponent_of(low_), last = exponent_of(high_);
  for (int decades = 2; decades <= last - first + 1; ++decades) choices.push_back({{1}, decades});
  const auto inside = [&](double value) {
    const double p = position(value);
    return p >= -kEdge && p <= 1 + kEdge;
  };
  constexpr std::size_t kFewest = 3;
  for (const auto& [digits, decades] : choices) {
    std::vector<Tick> ticks;
    // Multiples of `decades`, so that 1 is a tick wherever it lies inside.
    const int start = static_cast<int>(std::floor(static_cast<double>(first) / decades)) * decades;
    for (int exponent = start; exponent <= last; exponent += decades) {
      for (const int digit : digits) {
        const double value = digit * std::pow(10.0, exponent);
        if (inside(value)) ticks.push_back({value, {}});
      }
    }
    if (ticks.size() > static_cast<std::size_t>(most)) continue;
    if (ticks.size() < kFewest && high_ < 10 * low_) return false;
    // Plain numbers as long as all of them are short.
    constexpr double kSmall = 1e-3, kLarge = 1e5;
    const bool plain = ticks.front().value > kSmall * (1 - kEdge) && ticks.back().value < kLarge * (1 + kEdge);
    for (Tick& tick : ticks) {
      const double power = std::pow(10.0, exponent_of(tick.value));
      tick.label = plain ? number_label(tick.value, power) : scientific(tick.value, power);
    }
    ticks_ = ticks;
    // The digits between the decades, where they don't crowd.
    constexpr int kMostDecades = 8;
    for (int exponent = first; decades == 1 && digits.size() == 1 && last - first < kMostDecades && exponent <= last;
         ++exponent) {
      for (int digit = 2; digit <= 9; ++digit) {
        const double value = digit * std::pow(10.0, exponent);
        if (inside(value)) ticks_.push_back({value, {}});
      }
    }
    return true;
  }
  return false;
}

}  // namespace hourglass
