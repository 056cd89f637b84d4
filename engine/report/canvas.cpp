#include "engine/report/canvas.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <fmt/core.h>
#include <fontconfig/fontconfig.h>

#include <cmath>
#include <memory>
#include <numbers>
#include <vector>

#include "engine/report/text.h"
#include "graph/error.h"

namespace hourglass {

struct Canvas::Handle {
  cairo_t* cairo;
  std::string* texts = nullptr;  // elements of an SVG, which stand on top of what cairo has drawn
};

namespace {

struct Destroy {
  void operator()(cairo_t* cairo) const { cairo_destroy(cairo); }
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
using Surface = std::unique_ptr<cairo_surface_t, Destroy>;

// Both libraries keep what they have learnt about fonts until the program ends; given back there, a leak checker has
// nothing to say.
struct FontCaches {
  FontCaches() = default;
  FontCaches(const FontCaches&) = delete;
  FontCaches& operator=(const FontCaches&) = delete;
  ~FontCaches() {
    cairo_debug_reset_static_data();
    FcFini();
  }
};

void check(cairo_status_t status, const Extent& extent) {
  if (status != CAIRO_STATUS_SUCCESS) {
    fail("a drawing of {:.0f}x{:.0f}: {}", extent.width, extent.height, cairo_status_to_string(status));
  }
}

void draw(const Surface& surface, const Extent& extent, double scale, const Drawing& drawing,
          std::string* texts = nullptr) {
  static const FontCaches caches;
  check(cairo_surface_status(surface.get()), extent);
  const std::unique_ptr<cairo_t, Destroy> cairo(cairo_create(surface.get()));
  cairo_scale(cairo.get(), scale, scale);
  // Glyphs where they belong, not on whole pixels: the same layout in every format.
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(cairo.get(), options);
  cairo_font_options_destroy(options);
  Canvas::Handle handle{.cairo = cairo.get(), .texts = texts};
  Canvas canvas(&handle);
  drawing(canvas);
  check(cairo_status(cairo.get()), extent);
  cairo_surface_flush(surface.get());
}

cairo_status_t append(void* text, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

void use(cairo_t* cairo, const Color& color) {
  cairo_set_source_rgba(cairo, color.red, color.green, color.blue, color.alpha);
}

void use(cairo_t* cairo, const Font& font) {
  cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                         font.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo, font.size);
}

// Widths are measured in the first of these that is installed: mostly what "sans-serif" stands for.
constexpr const char* kSvgFonts = "DejaVu Sans, Verdana, system-ui, sans-serif";

std::string svg_text(const Point& at, const std::string& text, const Font& font, const Color& color, Align align) {
  const char* anchor = align == Align::start ? "start" : align == Align::middle ? "middle" : "end";
  const auto part = [](double value) { return std::lround(255 * value); };
  return fmt::format(
      "<text x=\"{:.2f}\" y=\"{:.2f}\" font-family=\"{}\" font-size=\"{}\"{} text-anchor=\"{}\" "
      "fill=\"#{:02x}{:02x}{:02x}\" fill-opacity=\"{}\">{}</text>\n",
      at.x, at.y, kSvgFonts, font.size, font.bold ? " font-weight=\"bold\"" : "", anchor, part(color.red),
      part(color.green), part(color.blue), color.alpha, escape_html(text));
}

void stroke_path(cairo_t* cairo, const Stroke& stroke) {
  use(cairo, stroke.color);
  cairo_set_line_width(cairo, stroke.width);
  cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
  const double unit = stroke.width;
  const double dashes[] = {4 * unit, 2.5 * unit}, dots[] = {unit, 2 * unit};
  if (stroke.line == Line::dashed) {
    cairo_set_dash(cairo, dashes, 2, 0);
  } else if (stroke.line == Line::dotted) {
    cairo_set_dash(cairo, dots, 2, 0);
  } else {
    cairo_set_dash(cairo, nullptr, 0, 0);
  }
  cairo_stroke(cairo);
}

// 0xXXRRGGBB in the machine's order, as cairo wants it.
std::vector<uint32_t> packed(const Image& image) {
  std::vector<uint32_t> pixels(static_cast<std::size_t>(image.plane_size()));
  const float* red = image.plane(0);
  const float* green = image.plane(image.channels == 3 ? 1 : 0);
  const float* blue = image.plane(image.channels == 3 ? 2 : 0);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = uint32_t{to_byte(red[i])} << 16 | uint32_t{to_byte(green[i])} << 8 | uint32_t{to_byte(blue[i])};
  }
  return pixels;
}

}  // namespace

void Canvas::fill(const Box& box, const Color& color) {
  use(handle_->cairo, color);
  cairo_rectangle(handle_->cairo, box.x, box.y, box.width, box.height);
  cairo_fill(handle_->cairo);
}

void Canvas::frame(const Box& box, const Stroke& stroke) {
  cairo_rectangle(handle_->cairo, box.x, box.y, box.width, box.height);
  stroke_path(handle_->cairo, stroke);
}

void Canvas::line(const Point& from, const Point& to, const Stroke& stroke) {
  const Point points[] = {from, to};
  polyline(points, stroke);
}

void Canvas::polyline(std::span<const Point> points, const Stroke& stroke) {
  if (stroke.line == Line::none || points.empty()) return;
  cairo_move_to(handle_->cairo, points[0].x, points[0].y);
  for (const Point& point : points.subspan(1)) cairo_line_to(handle_->cairo, point.x, point.y);
  stroke_path(handle_->cairo, stroke);
}

void Canvas::dot(const Point& centre, double radius, const Color& color, const Stroke& ring) {
  cairo_new_path(handle_->cairo);
  cairo_arc(handle_->cairo, centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
  use(handle_->cairo, color);
  cairo_fill_preserve(handle_->cairo);
  stroke_path(handle_->cairo, ring);
}

void Canvas::text(const Point& at, std::string_view text, const Font& font, const Color& color, Align align) {
  if (handle_->texts != nullptr) {
    *handle_->texts += svg_text(at, to_utf8(text), font, color, align);
    return;
  }
  const double share = align == Align::start ? 0 : align == Align::middle ? 0.5 : 1;
  const double width = share > 0 ? text_width(text, font) : 0;
  use(handle_->cairo, font);
  use(handle_->cairo, color);
  cairo_move_to(handle_->cairo, at.x - share * width, at.y);
  cairo_show_text(handle_->cairo, to_utf8(text).c_str());
  cairo_new_path(handle_->cairo);
}

double Canvas::text_width(std::string_view text, const Font& font) {
  use(handle_->cairo, font);
  cairo_text_extents_t extents;
  cairo_text_extents(handle_->cairo, to_utf8(text).c_str(), &extents);
  return extents.x_advance;
}

void Canvas::image(const Image& image, const Box& box) {
  std::vector<uint32_t> pixels = packed(image);
  const int stride = static_cast<int>(image.width) * 4;
  const Surface surface(cairo_image_surface_create_for_data(reinterpret_cast<unsigned char*>(pixels.data()),
                                                            CAIRO_FORMAT_RGB24, static_cast<int>(image.width),
                                                            static_cast<int>(image.height), stride));
  cairo_save(handle_->cairo);
  cairo_translate(handle_->cairo, box.x, box.y);
  const double x = box.width / static_cast<double>(image.width), y = box.height / static_cast<double>(image.height);
  double device_x = x, device_y = y;
  cairo_user_to_device_distance(handle_->cairo, &device_x, &device_y);
  cairo_scale(handle_->cairo, x, y);
  cairo_set_source_surface(handle_->cairo, surface.get(), 0, 0);
  const bool larger = device_x >= 1 && device_y >= 1;
  cairo_pattern_set_filter(cairo_get_source(handle_->cairo), larger ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
  // Without it, the border would mix with what lies below.
  cairo_pattern_set_extend(cairo_get_source(handle_->cairo), CAIRO_EXTEND_PAD);
  cairo_rectangle(handle_->cairo, 0, 0, static_cast<double>(image.width), static_cast<double>(image.height));
  cairo_fill(handle_->cairo);
  cairo_restore(handle_->cairo);
}

void Canvas::clipped(const Box& box, const std::function<void()>& draw) {
  cairo_save(handle_->cairo);
  cairo_rectangle(handle_->cairo, box.x, box.y, box.width, box.height);
  cairo_clip(handle_->cairo);
  draw();
  cairo_restore(handle_->cairo);
}

std::string draw_svg(const Extent& extent, const Drawing& drawing) {
  std::string text, texts;
  const Surface surface(cairo_svg_surface_create_for_stream(append, &text, extent.width, extent.height));
  check(cairo_surface_status(surface.get()), extent);
  cairo_svg_surface_set_document_unit(surface.get(), CAIRO_SVG_UNIT_PX);
  draw(surface, extent, 1, drawing, &texts);
  cairo_surface_finish(surface.get());
  check(cairo_surface_status(surface.get()), extent);
  return text.insert(text.rfind("</svg>"), texts);
}

Image draw_image(const Extent& extent, double scale, const Drawing& drawing) {
  const auto width = static_cast<int>(std::lround(extent.width * scale));
  const auto height = static_cast<int>(std::lround(extent.height * scale));
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height));
  draw(surface, extent, scale, drawing);
  Image image(width, height, 3);
  const unsigned char* data = cairo_image_surface_get_data(surface.get());
  const int stride = cairo_image_surface_get_stride(surface.get());
  for (int y = 0; y < height; ++y) {
    const auto* row = reinterpret_cast<const uint32_t*>(data + static_cast<std::ptrdiff_t>(y) * stride);
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        image.at(channel, y, x) = static_cast<float>(row[x] >> (16 - 8 * channel) & 255) / 255.0F;
      }
    }
  }
  return image;
}

}  // namespace hourglass
