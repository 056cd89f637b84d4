// exp, log and their relatives in float, written so that a row loop marked HG_CLONES vectorises them (libm's do not
// without -ffast-math). Errors stay within 3 ulp (erf: 3e-7); NaN, infinities, overflow and underflow behave
// as in libm. The double overloads are libm's: a formula written once as a template serves kernel and reference.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace hourglass::kernels::math {

#define HG_INLINE [[gnu::always_inline]] inline

// A gradient times a slope, 0 where either is 0: a path that passes nothing on hides what is infinite on its other
// side.
template <class R>
HG_INLINE R chain(R gradient, R slope) {
  return gradient != 0 && slope != 0 ? gradient * slope : R(0);
}

// ln 2 in two parts, so that n * kLn2High is exact for |n| < 1024.
inline constexpr float kLn2High = 0x1.62ep-1F;
inline constexpr float kLn2Low = static_cast<float>(0.693147180559945309417 - 0x1.62ep-1);

// e^x = 2^n (1 + p) with |x - n ln 2| <= ln 2 / 2.
struct ExpReduction {
  float p;
  float scale_a, scale_b;  // their product is 2^n; one factor alone would overflow at both ends
};

HG_INLINE ExpReduction reduce_exp(float x) {
  x = x > 89.0F ? 89.0F : x;  // e^89 is infinite, e^-104 is zero in float; NaN passes both
  x = x < -104.0F ? -104.0F : x;
  constexpr float kShift = 0x1.8p23F;  // adding it rounds to a whole number, which the low bits then hold
  const float shifted = x * 1.44269504F + kShift;
  const float n = shifted - kShift;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  // Taylor's series: its next term is 5e-9 at |r| = ln 2 / 2.
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * (r * r) + r;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kShift);
  const int32_t half = exponent >> 1;
  const auto power = [](int32_t e) { return std::bit_cast<float>((static_cast<uint32_t>(e) + 127U) << 23); };
  return {p, power(half), power(exponent - half)};
}

HG_INLINE float exp(float x) {
  const ExpReduction e = reduce_exp(x);
  return (e.p * e.scale_a + e.scale_a) * e.scale_b;
}

// e^x - 1 for x <= 0, without cancellation near 0.
HG_INLINE float expm1_of_negative(float x) {
  const ExpReduction e = reduce_exp(x);
  const float scale = e.scale_a * e.scale_b;
  return scale * e.p + (scale - 1);
}

HG_INLINE float tanh(float x) {
  const float t = expm1_of_negative(-2 * std::abs(x));
  return std::copysign(t / (2 + t), x);
}

// 2 atanh(s) = log((1 + s) / (1 - s)) by its series, for |s| <= 0.172 (9 digits).
HG_INLINE float twice_atanh(float s) {
  const float s2 = s * s;
  float p = 2.0F / 9;
  p = p * s2 + 2.0F / 7;
  p = p * s2 + 2.0F / 5;
  p = p * s2 + 2.0F / 3;
  return p * s2 * s + 2 * s;
}

HG_INLINE float log(float x) {
  const bool tiny = x < 0x1p-126F;
  const float y = tiny ? x * 0x1p23F : x;
  // y = 2^e m with m in [sqrt(1/2), sqrt(2)).
  constexpr int32_t kSqrtHalf = 0x3f3504f3;
  const auto bits = std::bit_cast<uint32_t>(y);
  const int32_t e = static_cast<int32_t>(bits - kSqrtHalf) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<uint32_t>(e) << 23));
  const float n = static_cast<float>(tiny ? e - 23 : e);
  float result = n * kLn2High + (n * kLn2Low + twice_atanh((m - 1) / (m + 1)));
  result = x == 0 ? -HUGE_VALF : result;
  result = x == HUGE_VALF ? x : result;
  return x >= 0 ? result : NAN;
}

// log(1 + x) for 0 <= x <= 1, without cancellation near 0: 1 + x is brought near 1 by a factor 2/3 where x > 1/3.
HG_INLINE float log1p_of_unit(float x) {
  const bool large = x > 1.0F / 3;
  // (1 + x) 2/3 = (1 + s) / (1 - s) with s = (2x - 1) / (2x + 5).
  const float s = large ? (2 * x - 1) / (2 * x + 5) : x / (2 + x);
  return twice_atanh(s) + (large ? 0.405465108108164F : 0.0F);
}

// Near 0 its series (the next term is 1e-8), else Abramowitz and Stegun 1964, 7.1.26 (absolute error 1.5e-7).
HG_INLINE float erf(float x) {
  const float a = std::abs(x), x2 = x * x;
  float series = -1.0F / 1320;
  series = series * x2 + 1.0F / 216;
  series = series * x2 - 1.0F / 42;
  series = series * x2 + 1.0F / 10;
  series = series * x2 - 1.0F / 3;
  series = 1.12837917F * (x + x * x2 * series);  // 2 / sqrt(pi)
  const float t = 1 / (1 + 0.3275911F * a);
  float tail = 1.061405429F;
  tail = tail * t - 1.453152027F;
  tail = tail * t + 1.421413741F;
  tail = tail * t - 0.284496736F;
  tail = tail * t + 0.254829592F;
  const float far = std::copysign(1 - tail * t * exp(-x2), x);
  return a < 0.5F ? series : far;
}

HG_INLINE double erf(double x) { return std::erf(x); }
HG_INLINE double exp(double x) { return std::exp(x); }
HG_INLINE double expm1_of_negative(double x) { return std::expm1(x); }
HG_INLINE double tanh(double x) { return std::tanh(x); }
HG_INLINE double log(double x) { return std::log(x); }
HG_INLINE double log1p_of_unit(double x) { return std::log1p(x); }

}  // namespace hourglass::kernels::math
