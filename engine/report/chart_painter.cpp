#include "engine/report/chart_painter.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/report/labels.h"
#include "engine/report/polyline.h"

namespace hourglass {
namespace {

constexpr Font kTitle{.size = 14, .bold = true}, kText{.size = 12}, kName{.size = 12.5, .bold = true};
constexpr double kTitleRow = 24, kTopRow = 20;  // the title's; the y axis' label and the legend
constexpr double kBottom = 46;                  // tick labels and the x axis' label
constexpr double kTickGap = 7, kNameGap = 9;    // between an axis and its numbers, a line and its name
constexpr double kDot = 3.2, kSmallDot = 1.8, kMarkDot = 5, kLine = 2;  // radii and width
constexpr double kSmallRing = 0.4;
constexpr double kSmallMark = 2.8;
constexpr double kSampleStep = 4;  // between the points of a line that labels keep off
constexpr double kSpread = 5;      // half the bars that end a spread
constexpr double kSwatch = 20;     // a legend's piece of line

std::string label_of(const Axis& axis) {
  if (axis.unit.empty()) return axis.label;
  return axis.label + " (" + axis.unit + ")";
}

bool shown(double value, ScaleKind kind) { return std::isfinite(value) && (kind == ScaleKind::linear || value > 0); }

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void add(double value, ScaleKind kind) {
    if (!shown(value, kind)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// The data's range with some room, as a share of it, beyond both ends; the axis' own limits where it has them.
Scale scale_of(const Axis& axis, Range data, double room, double length, double pixels_per_tick) {
  const bool is_log = axis.scale == ScaleKind::log;
  if (data.low > data.high) data = is_log ? Range{1, 10} : Range{0, 1};
  double low = data.low, high = data.high;
  if (is_log) {
    const double factor = std::pow(high / low, room);
    low /= factor;
    high *= factor;
  } else {
    const double margin = (high - low) * room;
    // What is never negative does not look as if it could be.
    low = data.low >= 0 ? std::max(0.0, low - margin) : low - margin;
    high += margin;
  }
  // A limit beyond the data leaves the other end to follow.
  if (axis.low) low = *axis.low;
  if (axis.high) high = *axis.high;
  if (low > high) (axis.low ? high : low) = axis.low ? low : high;
  const int most = std::clamp(static_cast<int>(length / pixels_per_tick), 2, 12);
  return {axis.scale, low, high, {.most = most, .at = axis.ticks}};
}

// Room beyond both ends is for dots, and for lines that go their way through a plane; a trend fills the width.
Scale x_scale(const Chart& chart, double width) {
  Range range;
  bool wants_room = false;
  for (const Series& series : chart.series) {
    wants_room |= series.dots || !std::is_sorted(series.x.begin(), series.x.end());
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (shown(series.y[i], chart.y.scale)) range.add(series.x[i], chart.x.scale);
    }
  }
  for (const Mark& mark : chart.marks) range.add(mark.x, chart.x.scale);
  for (const Rule& rule : chart.rules) {
    if (rule.of == Rule::Of::x) range.add(rule.value, chart.x.scale);
  }
  constexpr double kPixelsPerTick = 70;
  return scale_of(chart.x, range, wants_room ? 0.03 : 0, width, kPixelsPerTick);
}

Scale y_scale(const Chart& chart, double height) {
  Range range;
  for (const Series& series : chart.series) {
    for (std::size_t i = 0; i < series.y.size(); ++i) {
      if (!shown(series.x[i], chart.x.scale)) continue;
      range.add(series.y[i], chart.y.scale);
      if (series.low.empty()) continue;
      range.add(series.low[i], chart.y.scale);
      range.add(series.high[i], chart.y.scale);
    }
  }
  for (const Mark& mark : chart.marks) range.add(mark.y, chart.y.scale);
  for (const Rule& rule : chart.rules) {
    if (rule.of == Rule::Of::y) range.add(rule.value, chart.y.scale);
  }
  constexpr double kPixelsPerTick = 38;
  return scale_of(chart.y, range, 0.05, height, kPixelsPerTick);
}

}  // namespace

ChartPainter::ChartPainter(Canvas& canvas, const Chart& chart, const Theme& theme, const Box& box)
    : canvas_(canvas),
      chart_(chart),
      theme_(theme),
      box_(box),
      x_(x_scale(chart, box.width)),
      y_(y_scale(chart, box.height - kBottom - kTopRow - title_height())) {
  for (const Tick& tick : y_.ticks()) {
    left_margin_ = std::max(left_margin_, canvas_.text_width(tick.label, kText) + kTickGap);
  }
  // Half of the last number may stand beyond the axis.
  right_margin_ = x_.ticks().empty() ? 0 : canvas_.text_width(x_.ticks().back().label, kText) / 2;
  if (chart.names == Names::at_ends) {
    for (const Series& series : chart.series) {
      if (series.name.empty()) continue;
      right_margin_ = std::max(right_margin_, canvas_.text_width(series.name, kName) + kNameGap);
    }
  }
}

double ChartPainter::title_height() const { return chart_.title.empty() ? 0 : kTitleRow; }

Color ChartPainter::color(std::size_t series) const {
  const auto chosen = static_cast<std::size_t>(chart_.series[series].color.value_or(static_cast<int>(series)));
  return theme_.series[chosen % theme_.series.size()];
}

Point ChartPainter::at(double x, double y) const {
  return {plot_.x + x_.position(x) * plot_.width, plot_.bottom() - y_.position(y) * plot_.height};
}

ChartPainter::Runs ChartPainter::runs(const Series& series) const {
  Runs runs(1);
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (shown(series.x[i], chart_.x.scale) && shown(series.y[i], chart_.y.scale)) {
      runs.back().push_back(at(series.x[i], series.y[i]));
    } else if (!runs.back().empty()) {
      runs.emplace_back();
    }
  }
  if (runs.back().empty()) runs.pop_back();
  for (std::vector<Point>& run : runs) {
    if (!series.dots) run = thin_out(run);
  }
  return runs;
}

void ChartPainter::paint(double left_margin, double right_margin) {
  const double top = box_.y + title_height() + kTopRow;
  plot_ = {box_.x + left_margin, top, box_.width - left_margin - right_margin, box_.bottom() - kBottom - top};
  for (const Series& series : chart_.series) {
    lines_.push_back(runs(series));
    for (const std::vector<Point>& run : lines_.back()) {
      const std::vector<Point> more = sampled(run, kSampleStep);
      points_.insert(points_.end(), more.begin(), more.end());
    }
  }
  paint_texts();
  paint_axes();
  paint_rules();
  paint_series();
  if (chart_.names == Names::at_ends) paint_names();
  paint_marks();
  paint_rule_names();
}

void ChartPainter::paint_texts() {
  if (!chart_.title.empty()) canvas_.text({box_.x, box_.y + kTitle.size}, chart_.title, kTitle, theme_.ink);
  const double baseline = plot_.y - 9;
  canvas_.text({box_.x, baseline}, label_of(chart_.y), kText, theme_.muted);
  canvas_.text({plot_.x + plot_.width / 2, box_.bottom() - 10}, label_of(chart_.x), kText, theme_.muted, Align::middle);
  if (chart_.names == Names::legend) paint_legend(baseline);
}

// Right-aligned, the first series leftmost.
void ChartPainter::paint_legend(double baseline) {
  constexpr double kBetween = 18, kInside = 6;
  double x = plot_.right();
  for (std::size_t i = chart_.series.size(); i-- > 0;) {
    const Series& series = chart_.series[i];
    if (series.name.empty()) continue;
    x -= canvas_.text_width(series.name, kText);
    canvas_.text({x, baseline}, series.name, kText, theme_.ink);
    x -= kInside + kSwatch;
    const double y = baseline - kText.size / 3;
    canvas_.line({x, y}, {x + kSwatch, y}, {color(i), kLine, series.line});
    if (series.dots) canvas_.dot({x + kSwatch / 2, y}, kDot, color(i), {theme_.paper, 1});
    x -= kBetween;
  }
}

void ChartPainter::paint_axes() {
  for (const Tick& tick : y_.ticks()) {
    const double y = plot_.bottom() - y_.position(tick.value) * plot_.height;
    // The small ticks between decades are fainter still.
    Color grid = theme_.grid;
    if (tick.label.empty()) grid.alpha = 0.5;
    canvas_.line({plot_.x, y}, {plot_.right(), y}, {grid, 1});
    canvas_.text({plot_.x - kTickGap, y + kText.size * 0.36}, tick.label, kText, theme_.muted, Align::end);
  }
  canvas_.line({plot_.x, plot_.bottom()}, {plot_.right(), plot_.bottom()}, {theme_.muted, 1});
  for (const Tick& tick : x_.ticks()) {
    const double x = plot_.x + x_.position(tick.value) * plot_.width;
    const double length = tick.label.empty() ? 3 : 5;
    if (chart_.x.grid && !tick.label.empty()) canvas_.line({x, plot_.y}, {x, plot_.bottom()}, {theme_.grid, 1});
    canvas_.line({x, plot_.bottom()}, {x, plot_.bottom() + length}, {theme_.muted, 1});
    canvas_.text({x, plot_.bottom() + 6 + kText.size}, tick.label, kText, theme_.muted, Align::middle);
  }
}

void ChartPainter::paint_rules() {
  for (const Rule& rule : chart_.rules) {
    const bool upright = rule.of == Rule::Of::x;
    const double x = plot_.x + x_.position(rule.value) * plot_.width;
    const double y = plot_.bottom() - y_.position(rule.value) * plot_.height;
    const Point from = upright ? Point{x, plot_.y} : Point{plot_.x, y};
    const Point to = upright ? Point{x, plot_.bottom()} : Point{plot_.right(), y};
    canvas_.line(from, to, {theme_.muted, 1, Line::dashed});
    // The names of marks keep off the rules as they do off the lines.
    const std::vector<Point> along = sampled({from, to}, kSampleStep);
    points_.insert(points_.end(), along.begin(), along.end());
  }
}

// They have a whole line to stand at, so they come after the marks' names.
void ChartPainter::paint_rule_names() {
  for (const Rule& rule : chart_.rules) {
    if (rule.label.empty()) continue;
    const double width = canvas_.text_width(rule.label, kText);
    std::vector<Box> places;  // along the line, on both of its sides
    if (rule.of == Rule::Of::x) {
      const double x = plot_.x + x_.position(rule.value) * plot_.width;
      for (double y = plot_.y + 1; y < plot_.bottom() - kText.size; y += kText.size) {
        for (const double left : {x + 5, x - 5 - width}) places.push_back({left, y, width, kText.size});
      }
    } else {
      const double y = plot_.bottom() - y_.position(rule.value) * plot_.height;
      for (double x = plot_.right() - width; x > plot_.x; x -= kText.size) {
        for (const double top : {y - kText.size - 3, y + 3}) places.push_back({x, top, width, kText.size});
      }
    }
    if (places.empty()) continue;
    const Box label = best_place(places, plot_, taken_, points_);
    canvas_.text({label.x, label.bottom() - 2}, rule.label, kText, theme_.muted);
    taken_.push_back(label);
  }
}

void ChartPainter::paint_spread(std::size_t index) {
  const Series& series = chart_.series[index];
  for (std::size_t i = 0; i < series.low.size(); ++i) {
    const bool known = shown(series.x[i], chart_.x.scale) && shown(series.low[i], chart_.y.scale) &&
                       shown(series.high[i], chart_.y.scale);
    if (!known) continue;
    const Point from = at(series.x[i], series.low[i]), to = at(series.x[i], series.high[i]);
    canvas_.line(from, to, {color(index), kLine});
    for (const Point& end : {from, to}) {
      canvas_.line({end.x - kSpread, end.y}, {end.x + kSpread, end.y}, {color(index), kLine});
    }
  }
}

// Two strokes at the point half-way along the longest piece, turned back from where the line goes there.
void ChartPainter::paint_arrow(std::size_t index) {
  constexpr double kStep = 2, kLength = 9, kSpreadAngle = 0.45;  // radians to either side
  std::vector<Point> longest;
  for (const std::vector<Point>& run : lines_[index]) {
    std::vector<Point> points = sampled(run, kStep);
    if (points.size() > longest.size()) longest = std::move(points);
  }
  constexpr std::size_t kLookBack = 6;  // points, so that a wiggle does not turn it
  const std::size_t middle = longest.size() / 2;
  if (middle < kLookBack) return;
  const Point &tip = longest[middle], &before = longest[middle - kLookBack];
  const double back = std::atan2(before.y - tip.y, before.x - tip.x);
  for (const double turn : {-kSpreadAngle, kSpreadAngle}) {
    const Point end{tip.x + kLength * std::cos(back + turn), tip.y + kLength * std::sin(back + turn)};
    canvas_.line(tip, end, {color(index), kLine});
  }
}

void ChartPainter::paint_series() {
  canvas_.clipped({plot_.x, plot_.y - 1, plot_.width, plot_.height + 2}, [&] {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      for (const std::vector<Point>& run : lines_[i]) {
        canvas_.polyline(run, {color(i), kLine, chart_.series[i].line});
      }
      paint_spread(i);
      if (chart_.series[i].arrow) paint_arrow(i);
    }
  });
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    if (!chart_.series[i].dots) continue;
    for (const std::vector<Point>& run : lines_[i]) {
      const bool small = chart_.series[i].small;
      for (const Point& point : run) {
        canvas_.dot(point, small ? kSmallDot : kDot, color(i), {theme_.paper, small ? kSmallRing : 1});
      }
    }
  }
}

// Each name beside its line's end, moved up or down where two would meet.
void ChartPainter::paint_names() {
  std::vector<std::size_t> named;
  std::vector<double> ends;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    if (chart_.series[i].name.empty() || lines_[i].empty()) continue;
    named.push_back(i);
    ends.push_back(std::clamp(lines_[i].back().back().y, plot_.y, plot_.bottom()));
  }
  const std::vector<double> centres = spread(ends, kName.size + 4, plot_.y, plot_.bottom());
  for (std::size_t k = 0; k < named.size(); ++k) {
    canvas_.text({plot_.right() + kNameGap, centres[k] + kName.size * 0.36}, chart_.series[named[k]].name, kName,
                 color(named[k]));
  }
}

void ChartPainter::paint_marks() {
  const auto seen = [&](const Mark& mark) { return shown(mark.x, chart_.x.scale) && shown(mark.y, chart_.y.scale); };
  for (const Mark& mark : chart_.marks) {
    if (!seen(mark)) continue;
    const Point point = at(mark.x, mark.y);
    const double radius = mark.small ? kSmallMark : kMarkDot;
    canvas_.dot(point, radius, theme_.ink, {theme_.paper, mark.small ? 1 : 1.5});
    taken_.push_back({point.x - radius, point.y - radius, 2 * radius, 2 * radius});
  }
  std::vector<const Mark*> marks;
  std::vector<PointLabel> labels;
  const auto font_of = [](const Mark& mark) { return mark.small ? kText : kName; };
  for (const Mark& mark : chart_.marks) {
    if (!seen(mark)) continue;
    const Font font = font_of(mark);
    marks.push_back(&mark);
    labels.push_back({at(mark.x, mark.y), {canvas_.text_width(mark.label, font), font.size}});
  }
  const std::vector<Box> boxes = place_labels(labels, plot_, taken_, points_);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const Mark& mark = *marks[i];
    const Box& box = boxes[i];
    taken_.push_back(box);
    if (const auto line = leader(labels[i].beside, box)) {
      canvas_.line(line->first, line->second, {theme_.muted, 1});
      const std::vector<Point> along = sampled({line->first, line->second}, kSampleStep);
      points_.insert(points_.end(), along.begin(), along.end());
    }
    canvas_.text({box.x, box.bottom() - 2}, mark.label, font_of(mark), mark.small ? theme_.muted : theme_.ink);
  }
}

}  // namespace hourglass
