// LpPool: dst = (sum over the window of |src|^p)^(1/p).                                            ONNX LpPool-18
// GlobalLpPool: the same over the whole image.                                               ONNX GlobalLpPool-2
// Compositions: the sum is the number of taps times the average that counts the padding.
#include "graph/error.h"
#include "graph/op.h"

namespace hourglass::ops::lp_pool {
namespace {

ValueId to_power(const LowerContext& ctx, ValueId src, double exponent) {
  return exponent == 1 ? src : ctx.add("Pow", {src, ctx.number(src, exponent)});
}

double power_of(const Attrs& attrs) {
  const int64_t p = attrs.integer("p");
  if (p < 1) fail("p is {}, expected at least 1", p);
  return static_cast<double>(p);
}

std::vector<ValueId> lower_window(LowerContext& ctx) {
  const double p = power_of(ctx.node.attrs);
  Attrs window = ctx.node.attrs;
  // The average of a window that hangs over leaves out what the sum would count as zeros.
  if (window.integer("ceil_mode") != 0) fail("ceil_mode=1 is not supported; expected 0");
  window.erase("p");
  window.set("count_include_pad", int64_t{1});
  double taps = 1;
  for (const int64_t extent : window.ints("kernel_shape")) taps *= static_cast<double>(extent);
  const ValueId src = ctx.node.inputs[0];
  const ValueId mean = ctx.add("AveragePool", {to_power(ctx, ctx.add("Abs", {src}), p)}, window);
  return {to_power(ctx, ctx.add("Mul", {mean, ctx.number(src, taps)}), 1 / p)};
}

std::vector<ValueId> lower_global(LowerContext& ctx) {
  const double p = power_of(ctx.node.attrs);
  const ValueId src = ctx.node.inputs[0];
  Dims axes;
  for (int axis = 2; axis < ctx.shape(src).rank(); ++axis) axes.push_back(axis);
  if (axes.empty()) fail("src is {}, expected [N,C] and at least one spatial dimension", ctx.shape(src));
  const ValueId sum = ctx.add("ReduceSum", {to_power(ctx, ctx.add("Abs", {src}), p)}, {{"axes", axes}});
  return {to_power(ctx, sum, 1 / p)};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "LpPool",
       .since = 2,
       .attrs = {AttrSpec::required("kernel_shape", AttrKind::ints),
                 {"strides", Dims{}},
                 {"pads", Dims{}},
                 {"dilations", Dims{}},
                 {"auto_pad", std::string("NOTSET")},
                 {"ceil_mode", int64_t{0}},
                 {"p", int64_t{2}}},
       .lower = lower_window},
      {.name = "GlobalLpPool", .since = 2, .attrs = {{"p", int64_t{2}}}, .lower = lower_global}};
  return ops;
}

}  // namespace hourglass::ops::lp_pool
