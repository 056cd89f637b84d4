// dst = f(src), element by element.      ONNX ops of the same names.      src, dst: any shape
//   diff_src = diff_dst * f'(s), where s is dst if f' is a function of dst (then the forward pass may overwrite its
//   input, and nothing but the output is kept for the backward pass), else src.
//
// The functions are in ops/unary_functions.h.
#include "graph/error.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/unary_functions.h"

namespace hourglass::ops {
namespace {

using namespace unary;

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

// body(f), with a choice that f makes by its attributes made here rather than in the loop, where it would keep the loop
// from being vectorised.
template <class F, typename Body>
void with_choice_made(const F& f, const Body& body) {
  if constexpr (std::is_same_v<F, Gelu>) {
    if (f.by_tanh) {
      body(GeluByTanh{});
    } else {
      body(GeluByErf{});
    }
  } else {
    body(f);
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
    with_choice_made(f, [&](const auto& function) {
      plan.kernel = loop_kernel([walk, function](const Addresses& at) {
        const auto* src = static_cast<const T*>(at.src[0]);
        auto* dst = static_cast<T*>(at.dst[0]);
        walk.run(dst, [&](int64_t i, int64_t count) { forward_row(src + i, dst + i, count, function); });
      });
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
    with_choice_made(f, [&](const auto& function) {
      plan.kernel = loop_kernel([walk, function](const Addresses& at) {
        const auto* diff_dst = static_cast<const T*>(at.src[0]);
        const auto* saved = static_cast<const T*>(at.src[1]);
        auto* diff_src = static_cast<T*>(at.dst[0]);
        walk.run(diff_src, [&](int64_t i, int64_t count) {
          backward_row(diff_dst + i, saved + i, diff_src + i, count, function);
        });
      });
    });
  });
  return plan;
}

template <class F>
Row forward_rows(const Attrs& attrs, std::size_t) {
  Row row;
  with_choice_made(F(attrs), [&](const auto& function) {
    row = [function](const RowSource* src, float* dst, int64_t count) {
      forward_row(src[0].data, dst, count, function);
    };
  });
  return row;
}

template <class F>
Row backward_rows(const Attrs& attrs, std::size_t) {
  Row row;
  with_choice_made(F(attrs), [&](const auto& function) {
    row = [function](const RowSource* src, float* dst, int64_t count) {
      backward_row(src[0].data, src[1].data, dst, count, function);
    };
  });
  return row;
}

using Cases = std::vector<std::string_view>;

template <class F>
OpDef forward(Cases cases, std::vector<AttrSpec> attrs = {}) {
  return {.name = F::kName,
          .attrs = std::move(attrs),
          .infer = infer<F>,
          .vjp = vjp<F>,
          .plan = plan_forward<F>,
          .row = forward_rows<F>,
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
          .row = forward_rows<F>,
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
          .row = backward_rows<F>,
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
