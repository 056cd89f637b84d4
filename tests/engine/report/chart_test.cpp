#include "engine/report/chart.h"

#include <doctest/doctest.h>
#include <expat.h>

#include <cmath>
#include <limits>
#include <map>

#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "tests/engine/image/fixtures.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

// How often each element stands in a document; fails the test where it is not well-formed.
std::map<std::string, int> elements_of(const std::string& xml) {
  std::map<std::string, int> elements;
  const XML_Parser parser = XML_ParserCreate(nullptr);
  XML_SetUserData(parser, &elements);
  XML_SetStartElementHandler(parser, [](void* data, const XML_Char* name, const XML_Char**) {
    ++(*static_cast<std::map<std::string, int>*>(data))[name];
  });
  if (XML_Parse(parser, xml.data(), static_cast<int>(xml.size()), XML_TRUE) != XML_STATUS_OK) {
    FAIL_CHECK(XML_ErrorString(XML_GetErrorCode(parser)));
  }
  XML_ParserFree(parser);
  return elements;
}

Figure wave(int points) {
  Series series{.name = "wave"};
  for (int i = 0; i < points; ++i) {
    series.x.push_back(i);
    series.y.push_back(2 + std::sin(i * 0.01));
  }
  Figure figure{.title = "A wave", .note = "of no meaning"};
  figure.charts.push_back({.title = "One",
                           .x = {.label = "time", .unit = "s"},
                           .y = {.label = "height", .unit = "m", .scale = ScaleKind::log},
                           .series = {series},
                           .marks = {{.x = 3, .y = 2, .label = "here"}},
                           .rules = {{.of = Rule::Of::x, .value = 5, .label = "stop"}}});
  return figure;
}

// Pixels within a few codes of the colour.
int64_t count(const Image& image, const Color& color) {
  int64_t found = 0;
  for (int64_t i = 0; i < image.plane_size(); ++i) {
    const double distance = std::abs(image.plane(0)[i] - color.red) + std::abs(image.plane(1)[i] - color.green) +
                            std::abs(image.plane(2)[i] - color.blue);
    if (distance < 0.02) ++found;
  }
  return found;
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("a figure is a well-formed SVG of its size") {
  const std::string svg = to_svg(wave(200));
  auto elements = elements_of(svg);
  CHECK(elements["svg"] == 1);
  CHECK(elements["path"] > 5);
  CHECK_CONTAINS(svg, "viewBox=\"0 0 800 ");

  // Its words can be found and read aloud.
  CHECK(elements["text"] > 5);
  CHECK_CONTAINS(svg, ">wave</text>");

  // Two charts below each other.
  Figure two = wave(200);
  two.charts.push_back(two.charts[0]);
  two.charts[1].names = Names::legend;
  elements_of(to_svg(two));
  CHECK(to_image(two).height == to_image(wave(200)).height + 2 * 320);
}

TEST_CASE("a long series does not make a long file") {
  CHECK(to_svg(wave(100000)).size() < 100000);
  elements_of(to_svg(wave(100000)));
}

TEST_CASE("a figure as pixels: paper, line and dark paper") {
  const Image light = to_image(wave(700)), dark = to_image(wave(700), kDark);
  CHECK(light.width == 1600);
  CHECK(light.channels == 3);
  CHECK(light.at(0, 0, 0) == 1);
  CHECK(count(light, kLight.paper) > light.plane_size() * 8 / 10);
  CHECK(count(dark, kDark.paper) > dark.plane_size() * 8 / 10);
  CHECK(count(light, kLight.series[0]) > 2000);
  CHECK(count(dark, kDark.series[0]) > 2000);
  CHECK(count(dark, kLight.paper) == 0);
}

TEST_CASE("a series takes the colour and the line it is given") {
  Figure figure = wave(700);
  figure.charts[0].series[0].color = 2;
  CHECK(count(to_image(figure), kLight.series[0]) == 0);
  const int64_t solid = count(to_image(figure), kLight.series[2]);
  CHECK(solid > 2000);
  figure.charts[0].series[0].line = Line::dotted;
  const int64_t dotted = count(to_image(figure), kLight.series[2]);
  CHECK(dotted < solid * 3 / 4);
  CHECK(dotted > 500);
}

TEST_CASE("a point's spread is drawn, and moves the axis") {
  Figure figure{.charts = {{.series = {{.x = {1, 2}, .y = {1, 2}, .line = Line::none, .dots = true}}}}};
  const int64_t dots = count(to_image(figure), kLight.series[0]);
  Series& series = figure.charts[0].series[0];
  series.low = {0.5, kInfinity};
  series.high = {9, kInfinity};  // the second one's is not known
  const int64_t with_spread = count(to_image(figure), kLight.series[0]);
  CHECK(with_spread > dots + 500);
  series.high[0] = 18;  // as long, on an axis that is twice as long
  CHECK(static_cast<double>(count(to_image(figure), kLight.series[0])) ==
        doctest::Approx(static_cast<double>(with_spread)).epsilon(0.15));
  series.low.pop_back();
  CHECK_CONTAINS(error_of([&] { to_svg(figure); }), "2 values of y, and 1 and 2 for their spread");
}

TEST_CASE("an arrow, a grid across and a small mark are drawn") {
  Figure figure = wave(700);
  figure.charts[0].marks.clear();
  const int64_t line = count(to_image(figure), kLight.series[0]);
  figure.charts[0].series[0].arrow = true;
  CHECK(count(to_image(figure), kLight.series[0]) > line + 40);
  const int64_t grid = count(to_image(figure), kLight.grid);
  figure.charts[0].x.grid = true;
  CHECK(count(to_image(figure), kLight.grid) > grid + 500);
  figure.charts[0].names = Names::legend;
  const int64_t ink = count(to_image(figure), kLight.ink);
  figure.charts[0].marks = {{.x = 350, .y = 3, .label = {}, .small = true}};
  const int64_t small = count(to_image(figure), kLight.ink);
  figure.charts[0].marks[0].small = false;
  CHECK(small > ink);
  CHECK(count(to_image(figure), kLight.ink) > small + 50);
}

TEST_CASE("what can't be shown interrupts the line and moves no axis") {
  Figure figure = wave(700);
  Series& series = figure.charts[0].series[0];
  const int64_t whole = count(to_image(figure), kLight.series[0]);
  for (std::size_t i = 100; i < 500; ++i) series.y[i] = i % 4 == 0 ? kInfinity : i % 4 == 1 ? NAN : i % 4 == 2 ? 0 : -1;
  const Image cut = to_image(figure);
  CHECK(count(cut, kLight.series[0]) < whole * 6 / 10);
  CHECK(count(cut, kLight.series[0]) > whole * 2 / 10);
  elements_of(to_svg(figure));

  // Nothing at all, or one point only.
  series.x.clear();
  series.y.clear();
  elements_of(to_svg(figure));
  series.x = std::vector<double>{1};
  series.y = std::vector<double>{kInfinity};
  figure.charts[0].marks = {{.x = 1, .y = kInfinity, .label = "beyond"}};
  elements_of(to_svg(figure));
  series.dots = true;
  series.y[0] = 3;
  CHECK(count(to_image(figure), kLight.series[0]) > 20);
}

TEST_CASE("any text may stand in a figure") {
  Figure figure = wave(10);
  figure.title = std::string("<svg>&\"'\xFF\x01 grüße");
  figure.charts[0].series[0].name = std::string("]]><!--");
  figure.charts[0].marks[0].label = std::string("\xC3");
  elements_of(to_svg(figure));
}

TEST_CASE("charts that can't be are refused") {
  Figure figure = wave(10);
  figure.charts[0].series[0].y.pop_back();
  CHECK_CONTAINS(error_of([&] { to_svg(figure); }), "series 'wave' has 10 values of x and 9 of y");
  figure = wave(10);
  figure.charts[0].y.low = 0;
  CHECK_CONTAINS(error_of([&] { to_image(figure); }), "the y axis can't end at 0: it is logarithmic");
  figure = wave(10);
  figure.charts[0].x.low = 3;
  figure.charts[0].x.high = 3;
  CHECK_CONTAINS(error_of([&] { to_svg(figure); }), "the x axis can't go from 3 to 3");
  figure = wave(10);
  figure.width = 1e6;
  CHECK_CONTAINS(error_of([&] { to_image(figure); }), "a drawing of 1000000x");
}

TEST_CASE("an SVG with both themes: each drawn once, with identifiers of its own, light where nobody says") {
  Figure figure = wave(10);
  figure.title = "A <wave> & more";
  figure.charts[0].title = "Its height";
  const std::string svg = to_adaptive_svg(figure);
  const std::map<std::string, int> both = elements_of(svg), light = elements_of(to_svg(figure));
  CHECK(both.at("svg") == 1);
  CHECK(both.at("style") == 1);
  CHECK(both.at("path") == 2 * light.at("path"));
  CHECK(both.at("text") == 2 * light.at("text"));
  CHECK_CONTAINS(svg, "<title>A &lt;wave&gt; &amp; more</title>");
  CHECK_CONTAINS(svg, "<desc>Its height</desc>");
  CHECK_CONTAINS(svg, "<g class=\"on-dark\" display=\"none\">");
  CHECK_CONTAINS(svg, "@media screen and (prefers-color-scheme: dark)");
  // Whatever is referred to is there, once.
  for (const char* reference : {"href=\"#", "url(#"}) {
    for (std::size_t at = 0; (at = svg.find(reference, at)) != std::string::npos; ++at) {
      const std::size_t begin = svg.find('#', at) + 1, end = svg.find_first_of("\")", begin);
      const std::string id = " id=\"" + svg.substr(begin, end - begin) + "\"";
      const std::size_t first = svg.find(id);
      REQUIRE(first != std::string::npos);
      CHECK(svg.find(id, first + 1) == std::string::npos);
    }
  }
}

TEST_CASE("figures as files") {
  const TemporaryFolder folder;
  write_svg(folder / "a.svg", wave(10), false);
  write_png(folder / "a.png", wave(10), false);
  CHECK(folder.names() == std::vector<std::string>{"a.png", "a.svg"});
  const std::vector<uint8_t> bytes = read_file(folder / "a.svg");
  CHECK(elements_of({bytes.begin(), bytes.end()}) == elements_of(to_adaptive_svg(wave(10))));
  CHECK(psnr(read_image(folder / "a.png").image, to_image(wave(10))) > 60);
  CHECK_CONTAINS(error_of([&] { write_svg(folder / "a.svg", wave(10), false); }), "exists already");
  write_svg(folder / "a.svg", wave(20), true);
}

TEST_CASE("images are drawn where they belong, enlarged without blur") {
  const Image picture = make_picture(8, 8, 3);
  const Image large = draw_image({20, 20}, 2, [&](Canvas& canvas) { canvas.image(picture, {2, 4, 16, 16}); });
  CHECK(large.at(0, 0, 0) == 0);
  for (int64_t y = 0; y < 32; ++y) {
    for (int64_t x = 0; x < 32; ++x) {
      REQUIRE(std::abs(large.at(1, 8 + y, 4 + x) - std::clamp(picture.at(1, y / 4, x / 4), 0.0F, 1.0F)) < 0.003F);
    }
  }
  // Smaller: the mean stays.
  const Image wide = make_picture(64, 64, 1);
  const Image small = draw_image({16, 16}, 1, [&](Canvas& canvas) { canvas.image(wide, {0, 0, 16, 16}); });
  const auto mean = [](const Image& image) {
    double sum = 0;
    for (int64_t i = 0; i < image.plane_size(); ++i) sum += std::clamp(image.plane(0)[i], 0.0F, 1.0F);
    return sum / static_cast<double>(image.plane_size());
  };
  CHECK(mean(small) == doctest::Approx(mean(wide)).epsilon(0.02));
}

}  // namespace hourglass::test
