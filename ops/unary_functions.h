// The functions of ops/unary.cpp. One struct each holds f as value() and f' as slope(), as templates: in double they
// are the reference (libm), in float the kernel (ops/loops/math.h). tests/ops/values_test.cpp pins their values.
//
// slope() takes dst where from_dst() says so, else src. Where the value is finite and the true slope is not, it is 0.
#pragma once

#include "graph/attrs.h"
#include "graph/error.h"
#include "ops/loops/math.h"

namespace hourglass::ops::unary {

namespace math = kernels::math;

struct Plain {
  Plain() = default;
  explicit Plain(const Attrs&) {}
  [[nodiscard]] bool from_dst() const { return false; }
};
struct PlainFromDst {
  explicit PlainFromDst(const Attrs&) {}
  [[nodiscard]] bool from_dst() const { return true; }
};

template <class R>
HG_INLINE R sigmoid(R x) {
  return 1 / (1 + math::exp(-x));
}

struct Sigmoid : PlainFromDst {
  using PlainFromDst::PlainFromDst;
  static constexpr std::string_view kName = "Sigmoid", kGrad = "SigmoidGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return sigmoid(x);
  }
  template <class R>
  HG_INLINE R slope(R y) const {
    return y * (1 - y);
  }
};
struct Tanh : PlainFromDst {
  using PlainFromDst::PlainFromDst;
  static constexpr std::string_view kName = "Tanh", kGrad = "TanhGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return math::tanh(x);
  }
  template <class R>
  HG_INLINE R slope(R y) const {
    return 1 - y * y;
  }
};
struct Exp : PlainFromDst {
  using PlainFromDst::PlainFromDst;
  static constexpr std::string_view kName = "Exp", kGrad = "ExpGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return math::exp(x);
  }
  template <class R>
  HG_INLINE R slope(R y) const {
    return y;
  }
};
struct Log : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Log", kGrad = "LogGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return math::log(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return 1 / x;
  }
};
struct Sqrt : PlainFromDst {
  using PlainFromDst::PlainFromDst;
  static constexpr std::string_view kName = "Sqrt", kGrad = "SqrtGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::sqrt(x);
  }
  template <class R>
  HG_INLINE R slope(R y) const {
    return y == 0 ? R(0) : R(0.5) / y;
  }
};
struct Abs : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Abs", kGrad = "AbsGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::abs(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return x > 0 ? R(1) : x < 0 ? R(-1) : R(0);
  }
};
struct Neg : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Neg", kGrad = "NegGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return -x;
  }
  template <class R>
  HG_INLINE R slope(R) const {
    return -1;
  }
};
struct Reciprocal : PlainFromDst {
  using PlainFromDst::PlainFromDst;
  static constexpr std::string_view kName = "Reciprocal", kGrad = "ReciprocalGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return 1 / x;
  }
  template <class R>
  HG_INLINE R slope(R y) const {
    return -(y * y);
  }
};
struct Softplus : Plain {  // log(1 + e^x)
  using Plain::Plain;
  static constexpr std::string_view kName = "Softplus", kGrad = "SoftplusGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return (x > 0 ? x : R(0)) + math::log1p_of_unit(math::exp(-std::abs(x)));
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return sigmoid(x);
  }
};
struct Softsign : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Softsign", kGrad = "SoftsignGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return x / (1 + std::abs(x));
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    const R d = 1 + std::abs(x);
    return 1 / (d * d);
  }
};
struct HardSwish : Plain {  // x * clamp(x / 6 + 1/2, 0, 1)
  using Plain::Plain;
  static constexpr std::string_view kName = "HardSwish", kGrad = "HardSwishGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    const R gate = x / 6 + R(0.5);
    return x * (gate < 0 ? R(0) : gate > 1 ? R(1) : gate);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return x <= -3 ? R(0) : x >= 3 ? R(1) : x / 3 + R(0.5);
  }
};
// x tanh(softplus(x)); with e = e^x: tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2).
struct Mish : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Mish", kGrad = "MishGrad";
  template <class R>
  HG_INLINE R gate(R e) const {
    const R q = e * (e + 2);
    return q / (q + 2);
  }
  template <class R>
  HG_INLINE R capped_exp(R x) const {
    return math::exp(x > 20 ? R(20) : x);
  }  // e^2 must be finite
  template <class R>
  HG_INLINE R value(R x) const {
    return x * gate(capped_exp(x));
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    const R e = capped_exp(x);
    const R t = gate(e);
    return t + x * (1 - t * t) * (e / (1 + e));
  }
};
struct Erf : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Erf", kGrad = "ErfGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return math::erf(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return R(1.1283791670955126) * math::exp(-x * x);
  }  // 2 / sqrt(pi)
};
struct Sin : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Sin", kGrad = "SinGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::sin(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return std::cos(x);
  }
};
struct Cos : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Cos", kGrad = "CosGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::cos(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return -std::sin(x);
  }
};
struct Tan : PlainFromDst {
  using PlainFromDst::PlainFromDst;
  static constexpr std::string_view kName = "Tan", kGrad = "TanGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::tan(x);
  }
  template <class R>
  HG_INLINE R slope(R y) const {
    return 1 + y * y;
  }
};
struct Asin : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Asin", kGrad = "AsinGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::asin(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return std::abs(x) == 1 ? R(0) : 1 / std::sqrt((1 - x) * (1 + x));
  }
};
struct Acos : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Acos", kGrad = "AcosGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::acos(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return std::abs(x) == 1 ? R(0) : -1 / std::sqrt((1 - x) * (1 + x));
  }
};
struct Atan : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Atan", kGrad = "AtanGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::atan(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return 1 / (1 + x * x);
  }
};
struct Sinh : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Sinh", kGrad = "SinhGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::sinh(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return std::cosh(x);
  }
};
struct Cosh : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Cosh", kGrad = "CoshGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::cosh(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return std::sinh(x);
  }
};
struct Asinh : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Asinh", kGrad = "AsinhGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::asinh(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return 1 / std::sqrt(x * x + 1);
  }
};
struct Acosh : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Acosh", kGrad = "AcoshGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::acosh(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return x == 1 ? R(0) : 1 / (std::sqrt(x - 1) * std::sqrt(x + 1));
  }
};
struct Atanh : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Atanh", kGrad = "AtanhGrad";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::atanh(x);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return 1 / ((1 - x) * (1 + x));
  }
};

// x > 0 ? x : alpha (e^x - 1). For alpha >= 0 the sign of dst is the sign of src, and alpha e^x = dst + alpha.
struct Elu {
  static constexpr std::string_view kName = "Elu", kGrad = "EluGrad";
  double alpha;
  explicit Elu(const Attrs& attrs) : alpha(attrs.real("alpha")) {}
  [[nodiscard]] bool from_dst() const { return alpha >= 0; }
  template <class R>
  HG_INLINE R value(R x) const {
    return x > 0 ? x : R(alpha) * math::expm1_of_negative(x > 0 ? R(0) : x);
  }
  template <class R>
  HG_INLINE R slope(R s) const {
    if (from_dst()) return s > 0 ? R(1) : s + R(alpha);
    return s > 0 ? R(1) : R(alpha) * math::exp(s);
  }
};
struct Selu : Plain {  // gamma (x > 0 ? x : alpha (e^x - 1))
  static constexpr std::string_view kName = "Selu", kGrad = "SeluGrad";
  double alpha, gamma;
  explicit Selu(const Attrs& attrs) : alpha(attrs.real("alpha")), gamma(attrs.real("gamma")) {}
  template <class R>
  HG_INLINE R value(R x) const {
    return R(gamma) * (x > 0 ? x : R(alpha) * math::expm1_of_negative(x > 0 ? R(0) : x));
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return R(gamma) * (x > 0 ? R(1) : R(alpha) * math::exp(x));
  }
};
struct Celu : Plain {  // x > 0 ? x : alpha (e^(x / alpha) - 1)
  static constexpr std::string_view kName = "Celu", kGrad = "CeluGrad";
  double alpha;
  explicit Celu(const Attrs& attrs) : alpha(attrs.real("alpha")) {
    if (alpha <= 0) fail("alpha is {}, it must be positive", alpha);
  }
  template <class R>
  HG_INLINE R value(R x) const {
    return x > 0 ? x : R(alpha) * math::expm1_of_negative(x > 0 ? R(0) : x / R(alpha));
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return x > 0 ? R(1) : math::exp(x / R(alpha));
  }
};
struct HardSigmoid : Plain {  // clamp(alpha x + beta, 0, 1)
  static constexpr std::string_view kName = "HardSigmoid", kGrad = "HardSigmoidGrad";
  double alpha, beta;
  explicit HardSigmoid(const Attrs& attrs) : alpha(attrs.real("alpha")), beta(attrs.real("beta")) {}
  template <class R>
  HG_INLINE R value(R x) const {
    const R y = R(alpha) * x + R(beta);
    return y < 0 ? R(0) : y > 1 ? R(1) : y;
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    const R y = R(alpha) * x + R(beta);
    return y > 0 && y < 1 ? R(alpha) : R(0);
  }
};
struct ThresholdedRelu : PlainFromDst {  // x > alpha ? x : 0
  static constexpr std::string_view kName = "ThresholdedRelu", kGrad = "ThresholdedReluGrad";
  double alpha;
  explicit ThresholdedRelu(const Attrs& attrs) : PlainFromDst(attrs), alpha(attrs.real("alpha")) {}
  template <class R>
  HG_INLINE R value(R x) const {
    return x > R(alpha) ? x : R(0);
  }
  template <class R>
  HG_INLINE R slope(R y) const {
    return y != 0 ? R(1) : R(0);
  }
};
// min(max(x, min), max); where a bound is hit, no gradient flows.
struct Clip : PlainFromDst {
  static constexpr std::string_view kName = "Clip", kGrad = "ClipGrad";
  double low, high;
  explicit Clip(const Attrs& attrs)
      : PlainFromDst(attrs),
        low(attrs.has("min") ? attrs.real("min") : -HUGE_VAL),
        high(attrs.has("max") ? attrs.real("max") : HUGE_VAL) {}
  template <class R>
  HG_INLINE R value(R x) const {
    const R y = x < R(low) ? R(low) : x;
    return y > R(high) ? R(high) : y;
  }
  template <class R>
  HG_INLINE R slope(R y) const {
    return y > R(low) && y < R(high) ? R(1) : R(0);
  }
};
// x < -lambd ? x + bias : x > lambd ? x - bias : 0: soft for bias = lambd, hard for bias = 0.
struct Shrink : Plain {
  static constexpr std::string_view kName = "Shrink", kGrad = "ShrinkGrad";
  double lambd, bias;
  explicit Shrink(const Attrs& attrs) : lambd(attrs.real("lambd")), bias(attrs.real("bias")) {}
  template <class R>
  HG_INLINE R value(R x) const {
    return x < -R(lambd) ? x + R(bias) : x > R(lambd) ? x - R(bias) : R(0);
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    return x < -R(lambd) || x > R(lambd) ? R(1) : R(0);
  }
};
struct GeluByErf {
  static constexpr double kSqrtHalf = 0.70710678118654752440;
  static constexpr double kDensityAt0 = 0.39894228040143267794;  // of the normal distribution
  template <class R>
  HG_INLINE R value(R x) const {
    return x / 2 * (1 + math::erf(x * R(kSqrtHalf)));
  }
  // Phi(x) + x phi(x), the normal distribution and its density.
  template <class R>
  HG_INLINE R slope(R x) const {
    return (1 + math::erf(x * R(kSqrtHalf))) / 2 + x * R(kDensityAt0) * math::exp(-x * x / 2);
  }
};
struct GeluByTanh {
  static constexpr double kSqrt2OverPi = 0.79788456080286535588;
  static constexpr double kCubic = 0.044715;
  template <class R>
  HG_INLINE R inner_tanh(R x) const {
    return math::tanh(R(kSqrt2OverPi) * (x + R(kCubic) * x * x * x));
  }
  template <class R>
  HG_INLINE R value(R x) const {
    return x / 2 * (1 + inner_tanh(x));
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    const R t = inner_tanh(x);
    return (1 + t) / 2 + x / 2 * (1 - t * t) * R(kSqrt2OverPi) * (1 + 3 * R(kCubic) * x * x);
  }
};
struct Gelu : Plain {
  static constexpr std::string_view kName = "Gelu", kGrad = "GeluGrad";
  bool by_tanh;
  explicit Gelu(const Attrs& attrs) : by_tanh(attrs.string("approximate") == "tanh") {
    if (!by_tanh && attrs.string("approximate") != "none") {
      fail("approximate is '{}', expected 'none' or 'tanh'", attrs.string("approximate"));
    }
  }
  template <class R>
  R value(R x) const {
    return by_tanh ? GeluByTanh{}.value(x) : GeluByErf{}.value(x);
  }
  template <class R>
  R slope(R x) const {
    return by_tanh ? GeluByTanh{}.slope(x) : GeluByErf{}.slope(x);
  }
};

// Constant between jumps: f' = 0 wherever it exists, so the vjp emits nothing.
struct Floor : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Floor";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::floor(x);
  }
};
struct Ceil : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Ceil";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::ceil(x);
  }
};
struct Round : Plain {  // halves to even
  using Plain::Plain;
  static constexpr std::string_view kName = "Round";
  template <class R>
  HG_INLINE R value(R x) const {
    return std::nearbyint(x);
  }
};
struct Sign : Plain {
  using Plain::Plain;
  static constexpr std::string_view kName = "Sign";
  template <class R>
  HG_INLINE R value(R x) const {
    return x > 0 ? R(1) : x < 0 ? R(-1) : R(0);
  }
};

}  // namespace hourglass::ops::unary
