// One axis of a chart: the numbers it spans, where they lie on it, and the ticks that people read them by.
//
//   const Scale scale(ScaleKind::linear, 0, 1437, {.most = 7});  // ticks at 0, 200, ..., 1400
//   scale.position(718.5) == 0.5
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hourglass {

enum class ScaleKind : uint8_t { linear, log };

struct Tick {
  double value = 0;
  std::string label;  // empty for the small ticks between decades
};

class Scale {
 public:
  struct TickOptions {
    int most = 7;                 // labelled ticks
    std::vector<double> at = {};  // exactly these, as far as they lie inside; empty: nice numbers
  };

  // low <= high, both finite, and positive for log; an empty range is widened.
  Scale(ScaleKind kind, double low, double high, const TickOptions& options);

  // 0 at low, 1 at high; outside [0, 1] for other values, NaN where there is no logarithm.
  [[nodiscard]] double position(double value) const;
  [[nodiscard]] double low() const { return low_; }
  [[nodiscard]] double high() const { return high_; }
  [[nodiscard]] const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  void place_nice_ticks(int most);
  bool place_log_ticks(int most);

  ScaleKind kind_;
  double low_, high_;
  std::vector<Tick> ticks_;
};

// The smallest of 1, 2 and 5 times a power of ten that is at least `step`.
double nice_step(double step);

// A number as on an axis whose ticks lie `step` apart: "1,500", "0.25", "2.5×10⁷".
std::string number_label(double value, double step);

}  // namespace hourglass
