#include "engine/report/scale.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace hourglass::test {
namespace {

// One behind the other.
std::string labels(const Scale& scale) {
  std::string result;
  for (const Tick& tick : scale.ticks()) {
    if (!tick.label.empty()) result += (result.empty() ? "" : " ") + tick.label;
  }
  return result;
}

std::string linear(double low, double high, int most = 7) {
  return labels(Scale(ScaleKind::linear, low, high, {.most = most}));
}
std::string logarithmic(double low, double high, int most = 7) {
  return labels(Scale(ScaleKind::log, low, high, {.most = most}));
}

}  // namespace

TEST_CASE("a step is 1, 2 or 5 times a power of ten") {
  CHECK(nice_step(1) == doctest::Approx(1));
  CHECK(nice_step(1.01) == doctest::Approx(2));
  CHECK(nice_step(3) == doctest::Approx(5));
  CHECK(nice_step(5.5) == doctest::Approx(10));
  CHECK(nice_step(0.0021) == doctest::Approx(0.005));
  CHECK(nice_step(1000) == doctest::Approx(1000));
  CHECK(nice_step(1e-3) == doctest::Approx(1e-3));
}

TEST_CASE("numbers on an axis have the decimals that their distance asks for") {
  CHECK(number_label(1500, 500) == "1,500");
  CHECK(number_label(150000, 50000) == "150,000");
  CHECK(number_label(-1234.5, 0.5) == "-1,234.5");
  CHECK(number_label(-123, 1) == "-123");
  CHECK(number_label(27.5, 0.5) == "27.5");
  CHECK(number_label(0.25, 0.05) == "0.25");
  CHECK(number_label(3e-17, 0.1) == "0");  // what is left of 0.3 - 0.3
  CHECK(number_label(2.5e7, 5e6) == "2.5×10⁷");
  CHECK(number_label(1e6, 1e6) == "10⁶");
  CHECK(number_label(2e-5, 1e-5) == "2×10⁻⁵");
}

TEST_CASE("linear ticks are nice, inside, and never too many") {
  CHECK(linear(0, 1437) == "0 500 1,000");
  CHECK(linear(0, 1437, 8) == "0 200 400 600 800 1,000 1,200 1,400");
  CHECK(linear(24.38, 25.61) == "24.4 24.6 24.8 25.0 25.2 25.4 25.6");
  CHECK(linear(-1, 1, 5) == "-1.0 -0.5 0 0.5 1.0");
  CHECK(linear(0.1, 0.3, 3) == "0.1 0.2 0.3");  // the ends count, whatever rounding says
  for (double high = 1e-3; high < 1e7; high *= 1.37) {
    for (const int most : {2, 5, 9}) {
      const Scale scale(ScaleKind::linear, high * 0.21, high, {.most = most});
      CAPTURE(high);
      CAPTURE(most);
      CHECK(scale.ticks().size() >= 1);
      CHECK(scale.ticks().size() <= static_cast<std::size_t>(most));
      for (const Tick& tick : scale.ticks()) {
        CHECK(scale.position(tick.value) > -1e-6);
        CHECK(scale.position(tick.value) < 1 + 1e-6);
      }
    }
  }
}

TEST_CASE("log ticks: digits where there is room, decades, every few decades, or nice numbers") {
  CHECK(logarithmic(1, 10, 10) == "1 2 3 4 5 6 7 8 9 10");
  CHECK(logarithmic(1, 60) == "1 2 5 10 20 50");
  CHECK(logarithmic(6e-4, 0.085, 5) == "0.001 0.003 0.01 0.03");
  CHECK(logarithmic(0.002, 3, 5) == "0.01 0.1 1");
  CHECK(logarithmic(2e-5, 3e-1, 5) == "10⁻⁴ 10⁻³ 10⁻² 10⁻¹");
  CHECK(logarithmic(1e-9, 1e9, 7) == "10⁻⁹ 10⁻⁶ 10⁻³ 10⁰ 10³ 10⁶ 10⁹");
  CHECK(logarithmic(20, 26) == "20 21 22 23 24 25 26");
  // Nine small ticks to a decade: 0.002 to 3 has seven below 0.01, eight and eight, and two above 1.
  const Scale scale(ScaleKind::log, 0.002, 3, {.most = 5});
  CHECK(scale.ticks().size() == 3 + 8 + 8 + 8 + 2);
}

TEST_CASE("positions") {
  const Scale line(ScaleKind::linear, 10, 30, {});
  CHECK(line.position(10) == 0);
  CHECK(line.position(25) == doctest::Approx(0.75));
  CHECK(line.position(40) == doctest::Approx(1.5));
  const Scale log(ScaleKind::log, 0.01, 100, {});
  CHECK(log.position(1) == doctest::Approx(0.5));
  CHECK(log.position(1000) == doctest::Approx(1.25));
  CHECK(std::isnan(log.position(-1)));
}

TEST_CASE("a range without extent still has one") {
  for (const ScaleKind kind : {ScaleKind::linear, ScaleKind::log}) {
    const Scale scale(kind, 25, 25, {});
    CHECK(scale.low() < 25);
    CHECK(scale.high() > 25);
    CHECK(scale.position(25) == doctest::Approx(0.5).epsilon(0.02));
    CHECK(!scale.ticks().empty());
  }
  CHECK(Scale(ScaleKind::linear, 0, 0, {}).position(0) == 0.5);
}

TEST_CASE("ticks that were asked for are taken as they are") {
  const Scale scale(ScaleKind::log, 1, 16, {.most = 2, .at = {1, 2, 4, 8, 16, 32}});
  CHECK(labels(scale) == "1 2 4 8 16");
}

}  // namespace hourglass::test
