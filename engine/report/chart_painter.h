// Internal to engine/report: one chart, laid out and drawn in its box. The margins are asked for first, so that the
// charts of a figure can agree on them.
#pragma once

#include <string>
#include <vector>

#include "engine/report/canvas.h"
#include "engine/report/chart.h"
#include "engine/report/scale.h"

namespace hourglass {

class ChartPainter {
 public:
  // All of these must outlive the painter.
  ChartPainter(Canvas& canvas, const Chart& chart, const Theme& theme, const Box& box);

  // What the tick labels need on the left, and the names at the lines' ends on the right.
  [[nodiscard]] double left_margin() const { return left_margin_; }
  [[nodiscard]] double right_margin() const { return right_margin_; }
  void paint(double left_margin, double right_margin);

 private:
  using Runs = std::vector<std::vector<Point>>;

  [[nodiscard]] Color color(std::size_t series) const;
  [[nodiscard]] double title_height() const;
  [[nodiscard]] Point at(double x, double y) const;
  // A series as lines on the canvas; each ends where a point can't be shown.
  [[nodiscard]] Runs runs(const Series& series) const;
  void paint_texts();
  void paint_legend(double baseline);
  void paint_axes();
  void paint_rules();
  void paint_rule_names();
  void paint_spread(std::size_t index);
  void paint_series();
  void paint_arrow(std::size_t index);
  void paint_names();
  void paint_marks();

  Canvas& canvas_;
  const Chart& chart_;
  const Theme& theme_;
  Box box_, plot_;
  Scale x_, y_;
  double left_margin_ = 0, right_margin_ = 0;
  std::vector<Runs> lines_;    // of the series
  std::vector<Point> points_;  // along the lines
  std::vector<Box> taken_;     // by labels
};

}  // namespace hourglass
