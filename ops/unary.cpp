// dst = f(src), element by element.      ONNX ops of the same names.      src, dst: any shape
//   diff_src = diff_dst * f'(s), and 0 where either is 0, where s is dst if f' is a function of dst (then the forward
//   pass may overwrite its input, and nothing but the output is kept for the backward pass), else src.
//
// The functions are in ops/unary_functions.h. Swish-24{alpha}, x sigmoid(alpha x), is made of two of them.
#include "graph/error.h"
#include "ops/elementwise.h"
#include "ops/loops/clones.h"
#include "ops/loops/whole_numbers.h"
#include "ops/unary_functions.h"

namespace hourglass::ops::unary {
namespace {

template <class F>
void infer(InferContext& ctx) {
  F{ctx.attrs};  // checks the attributes
  ctx.outputs.push_back(*ctx.inputs[0]);
}

void infer_grad(InferContext& ctx) {
  if (!(*ctx.inputs[0] == *ctx.inputs[1])) {
    fail("diff_dst is {}:{}, the saved tensor {}:{}", ctx.inputs[0]->dtype, ctx.shape(0), ctx.inputs[1]->dtype,
         ctx.shape(1));
  }
  ctx.outputs.push_back(*ctx.inputs[0]);
}

void emit_grad(VjpContext& ctx, std::string_view grad, bool from_dst) {
  const ValueId saved = from_dst ? ctx.out(0) : ctx.in(0);
  ctx.set_grad(0, ctx.b.add(grad, {ctx.grad_out(), saved}, ctx.node.attrs, ctx.node.name + "/grad"));
}
template <class F>
void vjp(VjpContext& ctx) {
  emit_grad(ctx, F::kGrad, F(ctx.node.attrs).from_dst());
}
void vjp_zero(VjpContext&) {}

template <class F>
void reference(ReferenceContext& ctx) {
  const F f(ctx.attrs);
  const auto& src = ctx.inputs[0]->values;
  auto& dst = ctx.outputs[0].values;
  const DType dtype = ctx.outputs[0].dtype;
  for (std::size_t i = 0; i < src.size(); ++i) {
    dst[i] = is_floating(dtype) ? f.value(src[i]) : kernels::in_whole_type(f.value(src[i]), dtype);
  }
}

template <class F>
void reference_grad(ReferenceContext& ctx) {
  const F f(ctx.attrs);
  const auto& diff_dst = ctx.inputs[0]->values;
  const auto& saved = ctx.inputs[1]->values;
  auto& diff_src = ctx.outputs[0].values;
  for (std::size_t i = 0; i < saved.size(); ++i) diff_src[i] = math::chain(diff_dst[i], f.slope(saved[i]));
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
  for (int64_t i = 0; i < count; ++i) diff_src[i] = math::chain(diff_dst[i], f.slope(saved[i]));
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

// Of the functions that ONNX has of whole numbers, too.
template <class F>
KernelPlan plan(PlanContext& ctx) {
  if (is_floating(ctx.out().dtype)) return plan_by_row(ctx);
  return kernels::plan_whole(ctx, kernels::whole_step([f = F(ctx.node.attrs)](int64_t x) {
                               return static_cast<int64_t>(f.value(static_cast<double>(x)));
                             }));
}

using Table = std::vector<OpDef>;

// What differs between the functions.
struct Rules {
  std::string_view name;
  void (*infer)(InferContext&);
  void (*vjp)(VjpContext&);
  Row (*row)(const Attrs&, std::size_t);
  void (*reference)(ReferenceContext&);
};

void add_forward(Table& ops, const Rules& rules, const std::vector<AttrSpec>& attrs) {
  ops.push_back({.name = rules.name,
                 .attrs = attrs,
                 .infer = rules.infer,
                 .vjp = rules.vjp,
                 .plan = plan_by_row,
                 .row = rules.row,
                 .reference = rules.reference,
                 .bf16_inputs = 0b1});
}

void add_backward(Table& ops, const Rules& rules, const std::vector<AttrSpec>& attrs) {
  ops.push_back({.name = rules.name,
                 .internal = true,
                 .min_inputs = 2,
                 .max_inputs = 2,
                 .attrs = attrs,
                 .infer = rules.infer,
                 .plan = plan_by_row,
                 .row = rules.row,
                 .reference = rules.reference,
                 .bf16_inputs = 0b11});
}

// F and its gradient.
template <class F>
void add(Table& ops, const std::vector<AttrSpec>& attrs = {}) {
  add_forward(ops, {F::kName, infer<F>, vjp<F>, forward_rows<F>, reference<F>}, attrs);
  add_backward(ops, {F::kGrad, infer_grad, nullptr, backward_rows<F>, reference_grad<F>}, attrs);
}

template <class F>
void add_flat(Table& ops) {
  add_forward(ops, {F::kName, infer<F>, vjp_zero, forward_rows<F>, reference<F>}, {});
}

std::vector<ValueId> lower_swish(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0];
  const double alpha = ctx.node.attrs.real("alpha");
  const ValueId scaled = alpha == 1 ? src : ctx.add("Mul", {src, ctx.number(src, alpha)});
  return {ctx.add("Mul", {src, ctx.add("Sigmoid", {scaled})})};
}

// Opset 1 declared which inputs an op overwrites.
void normalize_old(NormalizeContext& ctx) { ctx.attrs.erase("consumed_inputs"); }

Table make_table() {
  const std::vector<AttrSpec> elu = {{"alpha", 1.0}};
  const std::vector<AttrSpec> selu = {{"alpha", 1.67326319217681884765625}, {"gamma", 1.05070102214813232421875}};
  const std::vector<AttrSpec> hard = {{"alpha", 0.2}, {"beta", 0.5}};
  const std::vector<AttrSpec> clip = {AttrSpec::optional("min", AttrKind::real),
                                      AttrSpec::optional("max", AttrKind::real)};
  const std::vector<AttrSpec> shrink = {{"lambd", 0.5}, {"bias", 0.0}};
  const std::vector<AttrSpec> gelu = {{"approximate", std::string("none")}};

  Table ops;
  add<Sigmoid>(ops);
  add<Tanh>(ops);
  add<Exp>(ops);
  add<Log>(ops);
  add<Sqrt>(ops);
  add<Abs>(ops);
  add<Neg>(ops);
  add<Reciprocal>(ops);
  add<Softplus>(ops);
  add<Softsign>(ops);
  add<HardSwish>(ops);
  add<Mish>(ops);
  add<Erf>(ops);
  add<Sin>(ops);
  add<Cos>(ops);
  add<Tan>(ops);
  add<Asin>(ops);
  add<Acos>(ops);
  add<Atan>(ops);
  add<Sinh>(ops);
  add<Cosh>(ops);
  add<Asinh>(ops);
  add<Acosh>(ops);
  add<Atanh>(ops);
  add<Elu>(ops, elu);
  add<Selu>(ops, selu);
  add<Celu>(ops, elu);
  add<HardSigmoid>(ops, hard);
  add<ThresholdedRelu>(ops, elu);
  add<Clip>(ops, clip);
  add<Shrink>(ops, shrink);
  add<Gelu>(ops, gelu);
  add_flat<Floor>(ops);
  add_flat<Ceil>(ops);
  add_flat<Round>(ops);
  add_flat<Sign>(ops);
  ops.push_back({.name = "Swish", .since = 24, .attrs = {{"alpha", 1.0}}, .lower = lower_swish});
  for (OpDef& op : ops) {
    if (!op.internal) op.normalize = normalize_old;
    if (op.name == "Clip") op.const_inputs = {{1, "min", 11}, {2, "max", 11}};
    op.linear = op.name == "Neg";
    if (op.name == "Abs") op.plan = plan<Abs>;
    if (op.name == "Clip") op.plan = plan<Clip>;
    if (op.name == "Neg") op.plan = plan<Neg>;
    if (op.name == "Sign") op.plan = plan<Sign>;
  }
  return ops;
}

}  // namespace

std::span<const OpDef> family() {
  static const Table ops = make_table();
  return ops;
}

}  // namespace hourglass::ops::unary
