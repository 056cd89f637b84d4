// A drawing surface: lines, text and images, in units of a CSS pixel, y downwards. The same drawing becomes an SVG or
// an image. Text becomes outlines, so an SVG looks the same everywhere.
//
//   const Image image = draw_image({800, 400}, 2, [](Canvas& canvas) { canvas.fill({0, 0, 800, 400}, kWhite); ... });
//
// The drawing library is cairo; its headers stay in canvas.cpp. Draw from one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/image/image.h"

namespace hourglass {

struct Color {
  double red = 0, green = 0, blue = 0, alpha = 1;
};
// 0xRRGGBB
constexpr Color rgb(uint32_t code, double alpha = 1) {
  return {(code >> 16 & 255) / 255.0, (code >> 8 & 255) / 255.0, (code & 255) / 255.0, alpha};
}

struct Point {
  double x = 0, y = 0;
};
struct Extent {
  double width = 0, height = 0;
};
struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  [[nodiscard]] double right() const { return x + width; }
  [[nodiscard]] double bottom() const { return y + height; }
};

enum class Line : uint8_t { none, solid, dashed, dotted };
struct Stroke {
  Color color;
  double width = 1;
  Line line = Line::solid;
};

enum class Align : uint8_t { start, middle, end };
struct Font {
  double size = 13;
  bool bold = false;
};

class Canvas {
 public:
  struct Handle;
  explicit Canvas(Handle* handle) : handle_(handle) {}

  void fill(const Box& box, const Color& color);
  void frame(const Box& box, const Stroke& stroke);
  void line(const Point& from, const Point& to, const Stroke& stroke);
  void polyline(std::span<const Point> points, const Stroke& stroke);
  // A disc with a ring around it.
  void dot(const Point& centre, double radius, const Color& color, const Stroke& ring);
  // `at` lies on the baseline. Any bytes will do: see to_utf8().
  void text(const Point& at, std::string_view text, const Font& font, const Color& color, Align align = Align::start);
  [[nodiscard]] double text_width(std::string_view text, const Font& font);
  // Scaled to fill the box: averaged when it is made smaller, its pixels as squares when larger.
  void image(const Image& image, const Box& box);
  // draw(), seen only inside the box.
  void clipped(const Box& box, const std::function<void()>& draw);

 private:
  Handle* handle_;
};

using Drawing = std::function<void(Canvas&)>;

// Both throw Error when the drawing is too large or out of memory. The image is RGB, `scale` pixels to the unit.
std::string draw_svg(const Extent& extent, const Drawing& drawing);
Image draw_image(const Extent& extent, double scale, const Drawing& drawing);

}  // namespace hourglass
