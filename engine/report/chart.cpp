#include "engine/report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "engine/report/chart_painter.h"
#include "engine/report/text.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr double kFigurePixelsPerUnit = 2;
constexpr double kFigurePadding = 16;
constexpr Font kFigureTitle{.size = 17, .bold = true}, kFigureNote{.size = 12};

void check(const Axis& axis, const std::string& which) {
  for (const std::optional<double>& limit : {axis.low, axis.high}) {
    if (limit && (!std::isfinite(*limit) || (axis.scale == ScaleKind::log && *limit <= 0))) {
      fail("chart: the {} axis can't end at {}{}", which, *limit,
           axis.scale == ScaleKind::log ? ": it is logarithmic" : "");
    }
  }
  if (axis.low && axis.high && *axis.low >= *axis.high) {
    fail("chart: the {} axis can't go from {} to {}", which, *axis.low, *axis.high);
  }
}

void check(const Figure& figure) {
  for (const Chart& chart : figure.charts) {
    check(chart.x, "x");
    check(chart.y, "y");
    for (const Series& series : chart.series) {
      if (series.x.size() != series.y.size()) {
        fail("chart: series '{}' has {} values of x and {} of y", series.name, series.x.size(), series.y.size());
      }
      if (series.low.size() != series.high.size() || (!series.low.empty() && series.low.size() != series.y.size())) {
        fail("chart: series '{}' has {} values of y, and {} and {} for their spread", series.name, series.y.size(),
             series.low.size(), series.high.size());
      }
    }
  }
}

double header_height(const Figure& figure) {
  double height = kFigurePadding;
  if (!figure.title.empty()) height += kFigureTitle.size + 7;
  if (!figure.note.empty()) height += kFigureNote.size + 6;
  return height > kFigurePadding ? height + kFigurePadding / 2 : height;
}

Extent extent_of(const Figure& figure) {
  double height = header_height(figure);
  for (const Chart& chart : figure.charts) height += chart.height;
  return {figure.width, height};
}

void paint(Canvas& canvas, const Figure& figure, const Theme& theme) {
  const Extent extent = extent_of(figure);
  canvas.fill({0, 0, extent.width, extent.height}, theme.paper);
  double y = kFigurePadding;
  if (!figure.title.empty()) {
    canvas.text({kFigurePadding, y + kFigureTitle.size - 2}, figure.title, kFigureTitle, theme.ink);
    y += kFigureTitle.size + 7;
  }
  if (!figure.note.empty())
    canvas.text({kFigurePadding, y + kFigureNote.size - 2}, figure.note, kFigureNote, theme.muted);
  y = header_height(figure);

  std::vector<ChartPainter> painters;
  double left = 0, right = 0;
  for (const Chart& chart : figure.charts) {
    painters.emplace_back(canvas, chart, theme,
                          Box{kFigurePadding, y, figure.width - 2 * kFigurePadding, chart.height});
    left = std::max(left, painters.back().left_margin());
    right = std::max(right, painters.back().right_margin());
    y += chart.height;
  }
  for (ChartPainter& painter : painters) painter.paint(left, right);
}

// The drawing without what stands around it, its identifiers with a prefix, so that two can stand in one file.
std::string drawing_of(const Figure& figure, const Theme& theme, const std::string& prefix) {
  std::string svg = to_svg(figure, theme);
  svg.erase(0, svg.find('>', svg.find("<svg")) + 1);
  svg.erase(svg.rfind("</svg>"));
  for (const std::string& before : {std::string(" id=\""), std::string("href=\"#"), std::string("url(#")}) {
    for (std::size_t at = 0; (at = svg.find(before, at)) != std::string::npos; at += before.size()) {
      svg.insert(at + before.size(), prefix);
    }
  }
  return svg;
}

}  // namespace

std::string to_adaptive_svg(const Figure& figure) {
  const Extent extent = extent_of(figure);
  std::string description;
  for (const Chart& chart : figure.charts) description += (description.empty() ? "" : "; ") + chart.title;
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" role=\"img\" "
      "width=\"{0}px\" height=\"{1}px\" viewBox=\"0 0 {0} {1}\" version=\"1.1\">\n"
      "<title>{2}</title>\n<desc>{3}</desc>\n"
      "<style>@media screen and (prefers-color-scheme: dark) "
      "{{ .on-light {{ display: none }} .on-dark {{ display: inline }} }}</style>\n"
      "<g class=\"on-light\">{4}</g>\n<g class=\"on-dark\" display=\"none\">{5}</g>\n</svg>\n",
      extent.width, extent.height, escape_html(figure.title), escape_html(description),
      drawing_of(figure, kLight, "l-"), drawing_of(figure, kDark, "d-"));
}

std::string to_svg(const Figure& figure, const Theme& theme) {
  check(figure);
  return draw_svg(extent_of(figure), [&](Canvas& canvas) { paint(canvas, figure, theme); });
}

Image to_image(const Figure& figure, const Theme& theme) {
  check(figure);
  return draw_image(extent_of(figure), kFigurePixelsPerUnit, [&](Canvas& canvas) { paint(canvas, figure, theme); });
}

void write_svg(const std::string& path, const Figure& figure, bool overwrite) {
  write_file_atomically(path, bytes_of(to_adaptive_svg(figure)), overwrite);
}

void write_png(const std::string& path, const Figure& figure, bool overwrite) {
  write_png(path, to_image(figure), {}, overwrite);
}

}  // namespace hourglass
