// The float functions of ops/loops/math.h against libm in double.
#include <doctest/doctest.h>

#include "ops/loops/math.h"

#include <limits>

namespace hourglass::kernels::math {
namespace {

// The largest |got - expected| / |expected| over evenly spaced points.
template <typename Got, typename Expected>
double worst_relative(float low, float high, const Got& got, const Expected& expected) {
  double worst = 0;
  constexpr int kPoints = 20000;
  for (int i = 0; i <= kPoints; ++i) {
    const float x = low + (high - low) * static_cast<float>(i) / kPoints;
    const double e = expected(static_cast<double>(x));
    const double difference = std::abs(got(x) - e);
    if (e != 0 && !(difference / std::abs(e) <= worst)) worst = difference / std::abs(e);
  }
  return worst;
}

// Units of float's last place, which is 2^-24 to 2^-23 of a number.
constexpr double kUlp = 1.0 / (1 << 23);

}  // namespace

TEST_CASE("exp, expm1, tanh, log, log1p within 3 units in the last place") {
  const auto exp_f = [](float x) { return exp(x); };
  const auto log_f = [](float x) { return log(x); };
  const auto tanh_f = [](float x) { return tanh(x); };
  CHECK(worst_relative(-87, 88.5F, exp_f, [](double x) { return std::exp(x); }) < 3 * kUlp);
  CHECK(worst_relative(
            -30, -1e-6F, [](float x) { return expm1_of_negative(x); }, [](double x) { return std::expm1(x); }) <
        3 * kUlp);
  CHECK(worst_relative(-12, 12, tanh_f, [](double x) { return std::tanh(x); }) < 3 * kUlp);
  CHECK(worst_relative(-0.01F, 0.01F, tanh_f, [](double x) { return std::tanh(x); }) < 3 * kUlp);
  CHECK(worst_relative(1e-3F, 0.99F, log_f, [](double x) { return std::log(x); }) < 3 * kUlp);
  CHECK(worst_relative(1.01F, 1e6F, log_f, [](double x) { return std::log(x); }) < 3 * kUlp);
  CHECK(worst_relative(
            1e-6F, 1, [](float x) { return log1p_of_unit(x); }, [](double x) { return std::log1p(x); }) < 3 * kUlp);
}

TEST_CASE("erf within 3e-7") {
  double worst = 0;
  for (float x = -6; x < 6; x += 0.001F) worst = std::max(worst, std::abs(erf(x) - std::erf(static_cast<double>(x))));
  CHECK(worst < 3e-7);
}

TEST_CASE("the ends of the range") {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(exp(0.0F) == 1);
  CHECK(exp(90.0F) == infinity);
  CHECK(exp(infinity) == infinity);
  CHECK(exp(-110.0F) == 0);
  CHECK(exp(-infinity) == 0);
  CHECK(std::isnan(exp(nan)));
  CHECK(expm1_of_negative(-infinity) == -1);
  CHECK(tanh(infinity) == 1);
  CHECK(tanh(-50.0F) == -1);
  CHECK(tanh(0.0F) == 0);
  CHECK(std::isnan(tanh(nan)));
  CHECK(log(1.0F) == 0);
  CHECK(log(0.0F) == -infinity);
  CHECK(log(infinity) == infinity);
  CHECK(std::abs(log(1e-40F) - std::log(1e-40)) < 1e-4);
  CHECK(std::isnan(log(-1.0F)));
  CHECK(std::isnan(log(nan)));
  CHECK(erf(infinity) == 1);
  CHECK(std::isnan(erf(nan)));
}

}  // namespace hourglass::kernels::math
