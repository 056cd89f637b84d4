// Charts: lines and points over axes, one or several below each other, as SVG and as PNG.
//
//   Figure figure{.title = "Scaling", .charts = {{.x = {.label = "threads"}, .y = {.label = "speed", .unit =
//   "it/s"}}}}; figure.charts[0].series.push_back({.name = "measured", .x = {1, 2, 4}, .y = {3.1, 6.0, 11.2}, .dots =
//   true}); write_svg("scaling.svg", figure, true); write_png("scaling.png", figure, true);
//
// Where nothing else is said, an axis spans its data, with nice numbers for ticks, and each series has its name at its
// end in its own colour. The charts of a figure share their width and margins, so equal x axes line up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/report/canvas.h"
#include "engine/report/scale.h"
#include "engine/report/theme.h"

namespace hourglass {

struct Axis {
  std::string label = {};
  std::string unit = {};  // "dB": shown as "label (dB)"
  ScaleKind scale = ScaleKind::linear;
  std::optional<double> low = {}, high = {};  // default: the data's
  std::vector<double> ticks = {};             // exactly these; default: nice numbers
  bool grid = false;                          // of an x axis: lines at its ticks; the y axis always has them
};

struct Series {
  std::string name = {};
  // Of the same length. A point that the axes can't show (NaN, infinity, not above 0 on a log axis) interrupts the
  // line.
  std::vector<double> x = {}, y = {};
  std::vector<double> low = {}, high = {};  // a stroke through each point, from low to high; of y's length, or empty
  Line line = Line::solid;
  bool dots = false;              // at each point
  bool small = false;             // the dots: what is many, or beside the point
  bool arrow = false;             // half-way along the line, in its direction
  std::optional<int> color = {};  // into Theme::series; default: in the order of the series
};

// A point that has a name, with a line to it where that stands apart.
struct Mark {
  double x = 0, y = 0;
  std::string label = {};
  bool small = false;  // a step on the way
};

// A line across the chart at a value of x or y.
struct Rule {
  enum class Of : uint8_t { x, y };
  Of of = Of::x;
  double value = 0;
  std::string label = {};
};

enum class Names : uint8_t { at_ends, legend };

struct Chart {
  std::string title = {};
  Axis x = {}, y = {};
  std::vector<Series> series = {};
  std::vector<Mark> marks = {};
  std::vector<Rule> rules = {};
  Names names = Names::at_ends;
  double height = 320;  // all in all
};

struct Figure {
  std::string title = {};
  std::string note = {};  // small, below the title
  std::vector<Chart> charts = {};
  double width = 800;
};

// Throws Error when a series' x and y differ in length, or when an axis' limits make no sense.
std::string to_svg(const Figure& figure, const Theme& theme = kLight);
// Both themes in one file: dark where whoever shows it prefers that, light on paper and wherever nobody says. For
// screen readers it has the figure's title and the charts' titles as its description.
std::string to_adaptive_svg(const Figure& figure);
// Two pixels to the unit: sharp on any screen.
Image to_image(const Figure& figure, const Theme& theme = kLight);

// Whole files or none, see write_file_atomically(). The SVG is adaptive.
void write_svg(const std::string& path, const Figure& figure, bool overwrite);
void write_png(const std::string& path, const Figure& figure, bool overwrite);

}  // namespace hourglass
