// dst = f(src), element by element.      ONNX ops of the same names.      src, dst: any shape
//   diff_src = diff_dst * f'(s), where s is dst if f' is a function of dst (then the forward pass may overwrite its
//   input, and nothing but the output is kept for the backward pass), else src.
//
// One struct per function holds f and f' once, as templates: in double they are the reference (libm), in float the
// kernel (ops/detail/math.h). tests/ops/values_test.cpp pins their values.
#include "graph/error.h"
#include "ops/detail/elementwise.h"
#include "ops/detail/math.h"

namespace hourglass::ops {
namespace {

namespace math = detail::math;

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
    return R(0.5) / y;
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
struct Gelu : Plain {
  static constexpr std::string_view kName = "Gelu", kGrad = "GeluGrad";
  static constexpr double kSqrtHalf = 0.70710678118654752440;
  static constexpr double kSqrt2OverPi = 0.79788456080286535588;
  static constexpr double kCubic = 0.044715;
  bool by_tanh;
  explicit Gelu(const Attrs& attrs) : by_tanh(attrs.string("approximate") == "tanh") {
    if (!by_tanh && attrs.string("approximate") != "none") {
      fail("approximate is '{}', expected 'none' or 'tanh'", attrs.string("approximate"));
    }
  }
  template <class R>
  HG_INLINE R value(R x) const {
    if (by_tanh) return x / 2 * (1 + math::tanh(R(kSqrt2OverPi) * (x + R(kCubic) * x * x * x)));
    return x / 2 * (1 + math::erf(x * R(kSqrtHalf)));
  }
  template <class R>
  HG_INLINE R slope(R x) const {
    if (by_tanh) {
      const R t = math::tanh(R(kSqrt2OverPi) * (x + R(kCubic) * x * x * x));
      return (1 + t) / 2 + x / 2 * (1 - t * t) * R(kSqrt2OverPi) * (1 + 3 * R(kCubic) * x * x);
    }
    // Phi(x) + x phi(x), the normal distribution and its density.
    return (1 + math::erf(x * R(kSqrtHalf))) / 2 + x * R(kSqrt2OverPi / 2) * math::exp(-x * x / 2);
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

template <class F>
void infer(InferContext& ctx) {
  F{ctx.attrs};  // checks the attributes
  ctx.outputs.push_back(*ctx.inputs[0]);
}

template <class F>
void infer_grad(InferContext& ctx) {
  if (!(*ctx.inputs[0] == *ctx.inputs[1])) {
    fail("diff_dst is {}:{}, the saved tensor {}:{}", ctx.inputs[0]->dtype, ctx.shape(0), ctx.inputs[1]->dtype,
         ctx.shape(1));
  }
  ctx.outputs.push_back(*ctx.inputs[0]);
}

template <class F>
void vjp(VjpContext& ctx) {
  const ValueId saved = F(ctx.node.attrs).from_dst() ? ctx.out(0) : ctx.in(0);
  ctx.set_grad(0, ctx.b.add(F::kGrad, {ctx.grad_out(), saved}, ctx.node.attrs, ctx.node.name + "/grad"));
}
void vjp_zero(VjpContext&) {}

template <class F>
void reference(ReferenceContext& ctx) {
  const F f(ctx.attrs);
  const auto& src = ctx.inputs[0]->values;
  auto& dst = ctx.outputs[0].values;
  for (std::size_t i = 0; i < src.size(); ++i) dst[i] = f.value(src[i]);
}

template <class F>
void reference_grad(ReferenceContext& ctx) {
  const F f(ctx.attrs);
  const auto& diff_dst = ctx.inputs[0]->values;
  const auto& saved = ctx.inputs[1]->values;
  auto& diff_src = ctx.outputs[0].values;
  for (std::size_t i = 0; i < saved.size(); ++i) diff_src[i] = diff_dst[i] * f.slope(saved[i]);
}

template <class F, class T>
HG_CLONES void forward_row(const T* src, T* dst, int64_t count, const F& function) {
  const F f = function;
  for (int64_t i = 0; i < count; ++i) detail::store(dst + i, f.value(detail::load(src + i)));
}

template <class F, class T>
HG_CLONES void backward_row(const T* diff_dst, const T* saved, T* diff_src, int64_t count, const F& function) {
  const F f = function;
  for (int64_t i = 0; i < count; ++i) {
    detail::store(diff_src + i, detail::load(diff_dst + i) * f.slope(detail::load(saved + i)));
  }
}

template <class F>
KernelPlan plan_forward(PlanContext& ctx) {
  detail::require_one_float_type(ctx);
  const MemoryDesc desc = detail::elementwise_layout(ctx.src[0], ctx.in(0));
  const F f(ctx.node.attrs);
  const detail::ElementWalk walk(desc, f.value(0.0F) == 0);
  KernelPlan plan{.src = {desc}, .dst = {desc}, .in_place = {{0, 0}}, .implementation = "loop", .kernel = nullptr};
  detail::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      const auto* src = static_cast<const T*>(at.src[0]);
      auto* dst = static_cast<T*>(at.dst[0]);
      walk.run(dst, [&](int64_t i, int64_t count) { forward_row(src + i, dst + i, count, f); });
    });
  });
  return plan;
}

template <class F>
KernelPlan plan_backward(PlanContext& ctx) {
  detail::require_one_float_type(ctx);
  const MemoryDesc desc = detail::elementwise_layout(ctx.src[1], ctx.in(1));
  const F f(ctx.node.attrs);
  // In the padding lanes diff_dst is zero, but the slope may be infinite there (Log, Sqrt).
  const detail::ElementWalk walk(desc, 0 * f.slope(0.0F) == 0);
  KernelPlan plan{
      .src = {desc, desc}, .dst = {desc}, .in_place = {{0, 0}, {0, 1}}, .implementation = "loop", .kernel = nullptr};
  detail::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      const auto* diff_dst = static_cast<const T*>(at.src[0]);
      const auto* saved = static_cast<const T*>(at.src[1]);
      auto* diff_src = static_cast<T*>(at.dst[0]);
      walk.run(diff_src,
               [&](int64_t i, int64_t count) { backward_row(diff_dst + i, saved + i, diff_src + i, count, f); });
    });
  });
  return plan;
}

using Cases = std::vector<std::string_view>;

template <class F>
OpDef forward(Cases cases, std::vector<AttrSpec> attrs = {}) {
  return {.name = F::kName,
          .attrs = std::move(attrs),
          .infer = infer<F>,
          .vjp = vjp<F>,
          .plan = plan_forward<F>,
          .reference = reference<F>,
          .bf16_inputs = 0b1,
          .cases = std::move(cases)};
}

template <class F>
OpDef flat(Cases cases) {
  return {.name = F::kName,
          .infer = infer<F>,
          .vjp = vjp_zero,
          .plan = plan_forward<F>,
          .reference = reference<F>,
          .bf16_inputs = 0b1,
          .cases = std::move(cases)};
}

template <class F>
OpDef backward(Cases cases, std::vector<AttrSpec> attrs = {}) {
  return {.name = F::kGrad,
          .internal = true,
          .min_inputs = 2,
          .max_inputs = 2,
          .attrs = std::move(attrs),
          .infer = infer_grad<F>,
          .plan = plan_backward<F>,
          .reference = reference_grad<F>,
          .bf16_inputs = 0b11,
          .cases = std::move(cases)};
}

// Opset 1 declared which inputs an op overwrites.
void normalize_old(NormalizeContext& ctx) { ctx.attrs.erase("consumed_inputs"); }

std::vector<OpDef> make_table() {
  const Cases signed_cases = {"1x8x5x7", "2x17x6x3@-4..4", "13@-9..9", "scalar"};
  const Cases positive_cases = {"1x8x5x7@0.5..2", "2x17x6x3@0.1..4", "13@1..20"};
  const Cases grad_cases = {"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3", "13 13@-2..2"};
  const Cases positive_grad_cases = {"1x8x5x7 1x8x5x7@0.5..2", "2x17x6x3 2x17x6x3@0.3..2"};
  const std::vector<AttrSpec> elu = {{"alpha", 1.0}};
  const std::vector<AttrSpec> selu = {{"alpha", 1.67326319217681884765625}, {"gamma", 1.05070102214813232421875}};
  const std::vector<AttrSpec> hard = {{"alpha", 0.2}, {"beta", 0.5}};
  const std::vector<AttrSpec> clip = {AttrSpec::optional("min", AttrKind::real),
                                      AttrSpec::optional("max", AttrKind::real)};
  const std::vector<AttrSpec> gelu = {{"approximate", std::string("none")}};
  const Cases elu_cases = {"1x8x5x7@-3..3", "2x17x6x3 | alpha=0.3"};
  const Cases elu_grad_cases = {"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | alpha=0.3"};
  const Cases selu_cases = {"1x8x5x7@-3..3", "2x17x6x3 | alpha=1.2 gamma=0.8"};

  std::vector<OpDef> ops = {
      forward<Sigmoid>(signed_cases),
      backward<Sigmoid>(grad_cases),
      forward<Tanh>(signed_cases),
      backward<Tanh>(grad_cases),
      forward<Exp>(signed_cases),
      backward<Exp>(grad_cases),
      forward<Log>(positive_cases),
      backward<Log>(positive_grad_cases),
      forward<Sqrt>(positive_cases),
      backward<Sqrt>(positive_grad_cases),
      forward<Abs>(signed_cases),
      backward<Abs>(grad_cases),
      forward<Neg>(signed_cases),
      backward<Neg>(grad_cases),
      forward<Reciprocal>(positive_cases),
      backward<Reciprocal>(positive_grad_cases),
      forward<Softplus>(signed_cases),
      backward<Softplus>(grad_cases),
      forward<Softsign>(signed_cases),
      backward<Softsign>(grad_cases),
      forward<HardSwish>(signed_cases),
      backward<HardSwish>(grad_cases),
      forward<Mish>(signed_cases),
      backward<Mish>(grad_cases),
      forward<Erf>(signed_cases),
      backward<Erf>(grad_cases),
      forward<Sin>(signed_cases),
      backward<Sin>(grad_cases),
      forward<Cos>(signed_cases),
      backward<Cos>(grad_cases),
      forward<Elu>({"1x8x5x7@-3..3", "2x17x6x3 | alpha=0.3", "2x17x6x3 | alpha=-0.7"}, elu),
      backward<Elu>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | alpha=0.3", "2x17x6x3 2x17x6x3 | alpha=-0.7"}, elu),
      forward<Selu>(selu_cases, selu),
      backward<Selu>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | alpha=1.2 gamma=0.8"}, selu),
      forward<Celu>(elu_cases, elu),
      backward<Celu>(elu_grad_cases, elu),
      forward<HardSigmoid>({"1x8x5x7@-4..4", "2x17x6x3 | alpha=0.4 beta=0.31"}, hard),
      backward<HardSigmoid>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3@-4..4 | alpha=0.4 beta=0.31"}, hard),
      forward<ThresholdedRelu>(elu_cases, elu),
      backward<ThresholdedRelu>(elu_grad_cases, elu),
      forward<Clip>({"1x8x5x7", "2x17x6x3 | min=-0.5 max=0.4", "2x17x6x3 | min=0.2", "9 | max=-0.1"}, clip),
      backward<Clip>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | min=-0.5 max=0.4"}, clip),
      forward<Gelu>({"1x8x5x7@-4..4", "2x17x6x3 | approximate=tanh"}, gelu),
      backward<Gelu>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | approximate=tanh"}, gelu),
      flat<Floor>(signed_cases),
      flat<Ceil>(signed_cases),
      flat<Round>(signed_cases),
      flat<Sign>(signed_cases),
  };
  for (OpDef& op : ops) {
    if (!op.internal) op.normalize = normalize_old;
    if (op.name == "Clip") op.const_inputs = {{1, "min", 11}, {2, "max", 11}};
    op.linear = op.name == "Neg";
  }
  return ops;
}

}  // namespace

std::span<const OpDef> unary_ops() {
  static const std::vector<OpDef> ops = make_table();
  return ops;
}

}  // namespace hourglass::ops
