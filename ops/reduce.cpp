// dst = reduction of src over `axes`.
// ONNX ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSumExp, ReduceLogSum,
// ReduceProd;
// GlobalAveragePool and GlobalMaxPool are ReduceMean and ReduceMax over all axes behind the second.
// Internal: SumTo{shape} sums over the dimensions along which `shape` broadcasts to src: the gradient of broadcasting.
//   d Sum = dy, d Mean = dy / n, d L1 = dy sign(x), d L2 = dy x / y, d SumSquare = 2 dy x, each broadcast to src;
//   Max and Min: dy shared evenly by the elements that equal the result.
// ReduceLogSum and ReduceLogSumExp are compositions.
#include <algorithm>
#include <cmath>

#include "graph/error.h"
#include "ops/loops/strided_loop.h"
#include "ops/loops/whole_numbers.h"
#include "ops/reduction/reduction.h"

namespace hourglass::ops::reduce {
namespace {

using kernels::keepdims_shape;
using kernels::Reduce;
using kernels::StridedLoop;

// What the axes of a node are: from its attributes, all behind the second, or those that SumTo's shape lacks.
enum class Axes : uint8_t { given, spatial, sum_to };

using Mask = std::vector<bool>;  // per dimension of src: reduced?

Mask mask_of(Axes which, const Attrs& attrs, const Shape& src) {
  const auto rank = static_cast<std::size_t>(src.rank());
  Mask mask(rank, false);
  if (which == Axes::spatial) {
    if (rank < 3) fail("src is {}, expected N x C and at least one spatial dimension", src);
    std::fill(mask.begin() + 2, mask.end(), true);
  } else if (which == Axes::sum_to) {
    const Shape target(attrs.ints("shape"));
    if (target.rank() > src.rank() || broadcast(target, src) != src) fail("{} does not broadcast to {}", target, src);
    for (std::size_t i = 0; i < rank; ++i) {
      const int axis = static_cast<int>(i) - static_cast<int>(rank) + target.rank();
      mask[i] = axis < 0 || (target[axis] == 1 && src[static_cast<int>(i)] != 1);
    }
  } else {
    const Dims axes = attrs.has("axes") ? attrs.ints("axes") : Dims{};
    if (axes.empty() && attrs.integer("noop_with_empty_axes") == 0) mask.assign(rank, true);
    for (const int64_t axis : axes) mask[static_cast<std::size_t>(normalize_axis(axis, src.rank()))] = true;
  }
  return mask;
}

template <Axes kAxes>
void infer(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  const Mask mask = mask_of(kAxes, ctx.attrs, src);
  if constexpr (kAxes == Axes::sum_to) {
    ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(ctx.attrs.ints("shape"))});
  } else {
    Dims dims;
    const bool keepdims = kAxes == Axes::spatial || ctx.attrs.integer("keepdims") != 0;
    for (std::size_t i = 0; i < mask.size(); ++i) {
      if (!mask[i]) dims.push_back(src[static_cast<int>(i)]);
      if (mask[i] && keepdims) dims.push_back(1);
    }
    ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
  }
}

void reference_of(ReferenceContext& ctx, Reduce which, Axes axes) {
  const kernels::ReductionFunctions reduction = kernels::reduction_functions(which, ctx.outputs[0].dtype);
  const HostTensor& src = *ctx.inputs[0];
  HostTensor& dst = ctx.outputs[0];
  const Shape kept = keepdims_shape(src.shape, mask_of(axes, ctx.attrs, src.shape));
  std::fill(dst.values.begin(), dst.values.end(), reduction.start);
  const StridedLoop<2> nest{.extents = src.shape.dims(),
                            .strides = {src.shape.strides(), kernels::broadcast_strides(kept, src.shape)}};
  nest.for_each([&](const auto& at) {
    double& y = dst.values[static_cast<std::size_t>(at[1])];
    y = reduction.combine(y, reduction.map(src.values[static_cast<std::size_t>(at[0])]));
  });
  const double count = static_cast<double>(src.shape.elements()) / static_cast<double>(kept.elements());
  for (double& y : dst.values) {
    y = reduction.finish(y, count);
    if (!is_floating(dst.dtype) && std::isfinite(y)) y = kernels::in_whole_type(y, dst.dtype);
  }
}

template <Reduce kWhich, Axes kAxes>
void reference(ReferenceContext& ctx) {
  reference_of(ctx, kWhich, kAxes);
}

// --- gradients ---

ValueId emit(VjpContext& ctx, std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {}) {
  return ctx.b.add(op, std::move(inputs), std::move(attrs), ctx.node.name + "/grad");
}

// `value`, of dst's shape, with the reduced dimensions as 1, so that it broadcasts against src.
ValueId kept(VjpContext& ctx, Axes axes, ValueId value) {
  const Shape shape = keepdims_shape(ctx.in_shape(0), mask_of(axes, ctx.node.attrs, ctx.in_shape(0)));
  if (ctx.b.graph().shape(value) == shape) return value;
  return emit(ctx, "Reshape", {value}, {{"shape", shape.dims()}, {"allowzero", int64_t{1}}});
}

ValueId scalar(VjpContext& ctx, double value) {
  return ctx.b.constant(HostTensor::scalar(ctx.b.graph().type(ctx.in(0)).dtype, value), ctx.node.name + "/constant");
}

void vjp_of(VjpContext& ctx, Reduce which, Axes axes) {
  const ValueId x = ctx.in(0);
  ValueId dy = kept(ctx, axes, ctx.grad_out());
  if (which == Reduce::sum || which == Reduce::mean) {
    const Shape src = ctx.in_shape(0);  // a copy: adding nodes moves values
    const double count = static_cast<double>(src.elements()) / static_cast<double>(ctx.b.graph().shape(dy).elements());
    if (which == Reduce::mean) dy = emit(ctx, "Mul", {dy, scalar(ctx, 1 / count)});
    if (ctx.b.graph().shape(dy) != src) dy = emit(ctx, "Expand", {dy}, {{"shape", src.dims()}});
    ctx.set_grad(0, dy);
  } else if (which == Reduce::l1) {
    ctx.set_grad(0, emit(ctx, "GradMul", {dy, emit(ctx, "Sign", {x})}));
  } else if (which == Reduce::sum_square) {
    ctx.set_grad(0, emit(ctx, "GradMul", {emit(ctx, "Mul", {dy, scalar(ctx, 2)}), x}));
  } else if (which == Reduce::l2) {
    ctx.set_grad(0, emit(ctx, "GradMul", {emit(ctx, "Div", {dy, kept(ctx, axes, ctx.out(0))}), x}));  // 0 where y is
  } else {
    const ValueId mask = emit(ctx, "EqualMask", {x, kept(ctx, axes, ctx.out(0))});
    ValueId ties = mask;
    const Shape shape = ctx.b.graph().shape(dy);
    if (ctx.b.graph().shape(mask) != shape) ties = emit(ctx, "SumTo", {mask}, {{"shape", shape.dims()}});
    ctx.set_grad(0, emit(ctx, "GradMul", {emit(ctx, "Div", {dy, ties}), mask}));
  }
}

template <Reduce kWhich, Axes kAxes>
void vjp(VjpContext& ctx) {
  vjp_of(ctx, kWhich, kAxes);
}

template <Reduce kWhich, Axes kAxes>
KernelPlan plan(PlanContext& ctx) {
  return kernels::plan_reduction(ctx, kWhich, mask_of(kAxes, ctx.node.attrs, ctx.in(0).shape));
}

template <Reduce kWhich>
RowSum row_sum() {
  return kernels::row_sum_of(kWhich);
}

// Null for a reduction that is no sum.
template <Reduce kWhich>
constexpr auto kRowSum =
    kWhich == Reduce::max || kWhich == Reduce::min || kWhich == Reduce::prod ? nullptr : row_sum<kWhich>;

std::vector<ValueId> lower_log_sum(LowerContext& ctx) {
  return {ctx.add("Log", {ctx.add("ReduceSum", {ctx.node.inputs[0]}, ctx.node.attrs)})};
}

// m + log(sum of e^(src - m)), m the maximum: e^src alone may overflow. A maximum that is infinite is taken for a
// finite one, so that its difference from itself is no NaN.
std::vector<ValueId> lower_log_sum_exp(LowerContext& ctx) {
  constexpr double kFinite = 3e38;
  Attrs keep = ctx.node.attrs;
  keep.set("keepdims", int64_t{1});
  const ValueId src = ctx.node.inputs[0];
  const ValueId most = ctx.add("Clip", {ctx.add("ReduceMax", {src}, keep)}, {{"min", -kFinite}, {"max", kFinite}});
  const ValueId sum = ctx.add("ReduceSum", {ctx.add("Exp", {ctx.add("Sub", {src, most})})}, keep);
  const ValueId dst = ctx.add("Add", {ctx.add("Log", {sum}), most});
  if (ctx.node.attrs.integer("keepdims") != 0) return {dst};
  const Shape shape = ctx.shape(src);
  const Mask mask = mask_of(Axes::given, ctx.node.attrs, shape);
  Dims dims;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (!mask[i]) dims.push_back(shape.dims()[i]);
  }
  return {ctx.reshape(dst, dims)};
}

std::vector<AttrSpec> reduce_attrs() {
  return {AttrSpec::optional("axes", AttrKind::ints), {"keepdims", int64_t{1}}, {"noop_with_empty_axes", int64_t{0}}};
}

template <Reduce kWhich>
OpDef reduce(std::string_view name, bool linear, int axes_input_since) {
  return {.name = name,
          .attrs = reduce_attrs(),
          .const_inputs = {{1, "axes", axes_input_since}},
          .infer = infer<Axes::given>,
          .vjp = vjp<kWhich, Axes::given>,
          .plan = plan<kWhich, Axes::given>,
          .row_sum = kRowSum<kWhich>,
          .reference = reference<kWhich, Axes::given>,
          .bf16_inputs = 0b1,
          .linear = linear};
}

std::vector<OpDef> make_table() {
  std::vector<OpDef> ops = {
      reduce<Reduce::sum>("ReduceSum", true, 13),
      reduce<Reduce::mean>("ReduceMean", true, 18),
      reduce<Reduce::max>("ReduceMax", false, 18),
      reduce<Reduce::min>("ReduceMin", false, 18),
      reduce<Reduce::l1>("ReduceL1", false, 18),
      reduce<Reduce::l2>("ReduceL2", false, 18),
      reduce<Reduce::sum_square>("ReduceSumSquare", false, 18),
      reduce<Reduce::prod>("ReduceProd", false, 18),
      {.name = "ReduceLogSum", .attrs = reduce_attrs(), .const_inputs = {{1, "axes", 18}}, .lower = lower_log_sum},
      {.name = "ReduceLogSumExp",
       .attrs = reduce_attrs(),
       .const_inputs = {{1, "axes", 18}},
       .lower = lower_log_sum_exp},
      {.name = "GlobalAveragePool",
       .infer = infer<Axes::spatial>,
       .vjp = vjp<Reduce::mean, Axes::spatial>,
       .plan = plan<Reduce::mean, Axes::spatial>,
       .reference = reference<Reduce::mean, Axes::spatial>,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "GlobalMaxPool",
       .infer = infer<Axes::spatial>,
       .vjp = vjp<Reduce::max, Axes::spatial>,
       .plan = plan<Reduce::max, Axes::spatial>,
       .reference = reference<Reduce::max, Axes::spatial>,
       .bf16_inputs = 0b1},
      {.name = "SumTo",
       .internal = true,
       .attrs = {AttrSpec::required("shape", AttrKind::ints)},
       .infer = infer<Axes::sum_to>,
       .plan = plan<Reduce::sum, Axes::sum_to>,
       .reference = reference<Reduce::sum, Axes::sum_to>,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  for (OpDef& op : ops) {
    if (op.name != "ReduceProd") continue;
    op.vjp = nullptr;
    op.no_gradient = "a product is meant for shapes; write it as ReduceSum of Log, then Exp";
  }
  return ops;
}

}  // namespace

std::span<const OpDef> family() {
  static const std::vector<OpDef> ops = make_table();
  return ops;
}

}  // namespace hourglass::ops::reduce
