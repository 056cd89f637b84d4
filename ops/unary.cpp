// dst = f(src), element by element.      ONNX ops of the same names.      src, dst: any shape
//   diff_src = diff_dst * f'(s), where s is dst if f' is a function of dst (then the forward pass may overwrite its
//   input, and nothing but the output is kept for the backward pass), else src.
//
// The functions are in ops/unary_functions.h.
#include "graph/error.h"
#include "ops/elementwise.h"
#include "ops/loops/clones.h"
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

template <class F>
HG_CLONES void forward_row(const float* src, float* dst, int64_t count, const F& function) {
  const F f = function;
  for (int64_t i = 0; i < count; ++i) dst[i] = f.value(src[i]);
}

template <class F>
HG_CLONES void backward_row(const float* diff_dst, const float* saved, float* diff_src, int64_t count,
                            const F& function) {
  const F f = function;
  for (int64_t i = 0; i < count; ++i) diff_src[i] = diff_dst[i] * f.slope(saved[i]);
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

template <class F>
OpDef forward(std::vector<AttrSpec> attrs = {}) {
  return {.name = F::kName,
          .attrs = std::move(attrs),
          .infer = infer<F>,
          .vjp = vjp<F>,
          .plan = plan_by_row,
          .row = forward_rows<F>,
          .reference = reference<F>,
          .bf16_inputs = 0b1};
}

template <class F>
OpDef flat() {
  return {.name = F::kName,
          .infer = infer<F>,
          .vjp = vjp_zero,
          .plan = plan_by_row,
          .row = forward_rows<F>,
          .reference = reference<F>,
          .bf16_inputs = 0b1};
}

template <class F>
OpDef backward(std::vector<AttrSpec> attrs = {}) {
  return {.name = F::kGrad,
          .internal = true,
          .min_inputs = 2,
          .max_inputs = 2,
          .attrs = std::move(attrs),
          .infer = infer_grad<F>,
          .plan = plan_by_row,
          .row = backward_rows<F>,
          .reference = reference_grad<F>,
          .bf16_inputs = 0b11};
}

// Opset 1 declared which inputs an op overwrites.
void normalize_old(NormalizeContext& ctx) { ctx.attrs.erase("consumed_inputs"); }

std::vector<OpDef> make_table() {
  const std::vector<AttrSpec> elu = {{"alpha", 1.0}};
  const std::vector<AttrSpec> selu = {{"alpha", 1.67326319217681884765625}, {"gamma", 1.05070102214813232421875}};
  const std::vector<AttrSpec> hard = {{"alpha", 0.2}, {"beta", 0.5}};
  const std::vector<AttrSpec> clip = {AttrSpec::optional("min", AttrKind::real),
                                      AttrSpec::optional("max", AttrKind::real)};
  const std::vector<AttrSpec> gelu = {{"approximate", std::string("none")}};

  std::vector<OpDef> ops = {
      forward<Sigmoid>(),
      backward<Sigmoid>(),
      forward<Tanh>(),
      backward<Tanh>(),
      forward<Exp>(),
      backward<Exp>(),
      forward<Log>(),
      backward<Log>(),
      forward<Sqrt>(),
      backward<Sqrt>(),
      forward<Abs>(),
      backward<Abs>(),
      forward<Neg>(),
      backward<Neg>(),
      forward<Reciprocal>(),
      backward<Reciprocal>(),
      forward<Softplus>(),
      backward<Softplus>(),
      forward<Softsign>(),
      backward<Softsign>(),
      forward<HardSwish>(),
      backward<HardSwish>(),
      forward<Mish>(),
      backward<Mish>(),
      forward<Erf>(),
      backward<Erf>(),
      forward<Sin>(),
      backward<Sin>(),
      forward<Cos>(),
      backward<Cos>(),
      forward<Elu>(elu),
      backward<Elu>(elu),
      forward<Selu>(selu),
      backward<Selu>(selu),
      forward<Celu>(elu),
      backward<Celu>(elu),
      forward<HardSigmoid>(hard),
      backward<HardSigmoid>(hard),
      forward<ThresholdedRelu>(elu),
      backward<ThresholdedRelu>(elu),
      forward<Clip>(clip),
      backward<Clip>(clip),
      forward<Gelu>(gelu),
      backward<Gelu>(gelu),
      flat<Floor>(),
      flat<Ceil>(),
      flat<Round>(),
      flat<Sign>(),
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
