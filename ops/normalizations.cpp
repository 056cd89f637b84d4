// Normalisations other than over the batch: xhat = (src - mean) / sqrt(variance + epsilon), dst = xhat * scale + bias.
//   InstanceNormalization-6{epsilon}: statistics per image and channel; scale, bias: [C].
//   GroupNormalization-18{num_groups, epsilon}: per image and group of channels; scale, bias: [C], or [groups] before
//   opset 21.
//   LayerNormalization-17{axis, epsilon}: over the dimensions from `axis` on, whose shape scale and bias have; the
//   further outputs are mean and 1 / sqrt(variance + epsilon).
//   MeanVarianceNormalization-13{axes}: over `axes`, no scale.
//   LpNormalization-1{axis, p}: dst = src / norm_p(src along axis), and 0 for a zero vector.
//   RMSNormalization-23{axis, epsilon}: dst = src / sqrt(mean of src^2 + epsilon) * scale, the mean over the dimensions
//   from `axis` on.
//   LRN-1{size, alpha, beta, bias}: dst = src / (bias + alpha * mean of src^2)^beta, the mean over `size` neighbouring
//   channels, where those outside count as zeros.
// The number is the opset of the ONNX op.
// Each of the first three is a batch normalisation of src in another shape: what shares statistics becomes a channel.
#include "graph/error.h"
#include "graph/op.h"
#include "ops/memory/filled.h"

namespace hourglass::ops::normalizations {
namespace {

// src in the shape [1, groups, rest], normalised per group: {xhat, mean, inv_std}.
std::vector<ValueId> normalize_groups(const LowerContext& ctx, ValueId src, int64_t groups) {
  const int64_t elements = ctx.shape(src).elements();
  if (groups < 1 || elements == 0) fail("src is {}: there is nothing to normalise", ctx.shape(src));
  const ValueId flat = ctx.reshape(src, {1, groups, elements / groups});
  const ValueId one = ctx.b.constant(kernels::filled(Shape{groups}, 1), ctx.node.name + "/one");
  const ValueId zero = ctx.b.constant(kernels::filled(Shape{groups}, 0), ctx.node.name + "/zero");
  return ctx.b.add_all("BatchNormalization", {flat, one, zero},
                       {{"epsilon", ctx.node.attrs.real("epsilon")}, {"training_mode", int64_t{1}}},
                       ctx.node.name + "/BatchNormalization");
}

// values [C] as they broadcast over [N,C,...].
ValueId per_channel(const LowerContext& ctx, ValueId values, int rank) {
  Dims dims(static_cast<std::size_t>(rank) - 1, 1);
  dims[0] = ctx.shape(values).elements();
  return ctx.reshape(values, dims);
}

Shape channels_of(const LowerContext& ctx) {
  const Shape src = ctx.shape(ctx.node.inputs[0]);
  if (src.rank() < 3) fail("src is {}, expected [N,C] and at least one spatial dimension", src);
  return src;
}

void require_count(const LowerContext& ctx, std::size_t input, const char* name, int64_t count) {
  const Shape shape = ctx.shape(ctx.node.inputs[input]);
  if (shape != Shape{count}) fail("{} has shape {}, expected {}", name, shape, count);
}

std::vector<ValueId> lower_instance(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0], scale = ctx.node.inputs[1], bias = ctx.node.inputs[2];
  const Shape shape = channels_of(ctx);
  require_count(ctx, 1, "scale", shape[1]);
  require_count(ctx, 2, "bias", shape[1]);
  // One image: its own statistics are the batch's.
  if (shape[0] == 1) {
    return {ctx.add("BatchNormalization", {src, scale, bias},
                    {{"epsilon", ctx.node.attrs.real("epsilon")}, {"training_mode", int64_t{1}}})};
  }
  const ValueId xhat = ctx.reshape(normalize_groups(ctx, src, shape[0] * shape[1])[0], shape.dims());
  const ValueId scaled = ctx.add("Mul", {xhat, per_channel(ctx, scale, shape.rank())});
  return {ctx.add("Add", {scaled, per_channel(ctx, bias, shape.rank())})};
}

std::vector<ValueId> lower_group(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0];
  const Shape shape = channels_of(ctx);
  const int64_t groups = ctx.node.attrs.integer("num_groups");
  if (groups < 1 || shape[1] % groups != 0) fail("{} channels do not make {} groups", shape[1], groups);
  const ValueId xhat = normalize_groups(ctx, src, shape[0] * groups)[0];
  const int64_t each = ctx.shape(ctx.node.inputs[1]).elements();
  require_count(ctx, 1, "scale", each);
  require_count(ctx, 2, "bias", each);
  if (each == shape[1]) {
    const ValueId scaled =
        ctx.add("Mul", {ctx.reshape(xhat, shape.dims()), per_channel(ctx, ctx.node.inputs[1], shape.rank())});
    return {ctx.add("Add", {scaled, per_channel(ctx, ctx.node.inputs[2], shape.rank())})};
  }
  if (each != groups) fail("scale has {} entries, expected one for each of {} channels", each, shape[1]);
  const ValueId grouped = ctx.reshape(xhat, {shape[0], groups, shape.elements() / shape[0] / groups});
  const ValueId scaled = ctx.add("Mul", {grouped, per_channel(ctx, ctx.node.inputs[1], 3)});
  return {ctx.reshape(ctx.add("Add", {scaled, per_channel(ctx, ctx.node.inputs[2], 3)}), shape.dims())};
}

std::vector<ValueId> lower_layer(LowerContext& ctx) {
  const Shape shape = ctx.shape(ctx.node.inputs[0]);
  const int axis = normalize_axis(ctx.node.attrs.integer("axis"), shape.rank());
  Dims kept(shape.dims().begin(), shape.dims().begin() + axis);
  const int64_t rows = Shape(kept).elements();
  kept.resize(shape.dims().size(), 1);
  std::vector<ValueId> outputs = normalize_groups(ctx, ctx.node.inputs[0], rows);
  ValueId dst = ctx.add("Mul", {ctx.reshape(outputs[0], shape.dims()), ctx.node.inputs[1]});
  if (ctx.has(2)) dst = ctx.add("Add", {dst, ctx.node.inputs[2]});
  if (ctx.shape(dst) != shape) fail("scale {} does not fit src {}", ctx.shape(ctx.node.inputs[1]), shape);
  if (ctx.outputs_wanted == 1) return {dst};
  return {dst, ctx.reshape(outputs[1], kept), ctx.reshape(outputs[2], kept)};
}

std::vector<ValueId> lower_mean_variance(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0];
  const Attrs axes{{"axes", ctx.node.attrs.ints("axes")}};
  const ValueId centered = ctx.add("Sub", {src, ctx.add("ReduceMean", {src}, axes)});
  const ValueId variance = ctx.add("ReduceMean", {ctx.add("Mul", {centered, centered})}, axes);
  // ONNX adds 1e-9 to the standard deviation, not to the variance.
  const ValueId deviation = ctx.add("Add", {ctx.add("Sqrt", {variance}), ctx.number(src, 1e-9)});
  return {ctx.add("Div", {centered, deviation})};
}

std::vector<ValueId> lower_lp(LowerContext& ctx) {
  const int64_t p = ctx.node.attrs.integer("p");
  if (p != 1 && p != 2) fail("p is {}, expected 1 or 2", p);
  const ValueId src = ctx.node.inputs[0];
  const Attrs axes{{"axes", Dims{ctx.node.attrs.integer("axis")}}};
  const ValueId norm = ctx.add(p == 1 ? "ReduceL1" : "ReduceL2", {src}, axes);
  // A zero vector stays zero: it is divided by 1. The difference is exact, so every other norm is itself.
  const ValueId is_zero = ctx.add("Sub", {ctx.number(src, 1), ctx.add("Sign", {norm})});
  return {ctx.add("Div", {src, ctx.add("Add", {norm, is_zero})})};
}

std::vector<ValueId> lower_rms(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0];
  const Shape shape = ctx.shape(src);
  Dims axes;
  for (int d = normalize_axis(ctx.node.attrs.integer("axis"), shape.rank()); d < shape.rank(); ++d) axes.push_back(d);
  const ValueId mean = ctx.add("ReduceMean", {ctx.add("Mul", {src, src})}, {{"axes", axes}});
  const ValueId root = ctx.add("Sqrt", {ctx.add("Add", {mean, ctx.number(src, ctx.node.attrs.real("epsilon"))})});
  const ValueId dst = ctx.add("Mul", {ctx.add("Div", {src, root}), ctx.node.inputs[1]});
  if (ctx.shape(dst) != shape) fail("scale {} does not fit src {}", ctx.shape(ctx.node.inputs[1]), shape);
  return {dst};
}

// The mean over channels is that of a window over the images [N, 1, C, pixels].
std::vector<ValueId> lower_lrn(LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const ValueId src = ctx.node.inputs[0];
  const Shape shape = ctx.shape(src);
  const int64_t size = attrs.integer("size");
  if (shape.rank() < 2 || shape.elements() == 0) fail("src is {}, expected [N,C] and spatial dimensions", shape);
  if (size < 1 || size > 2 * shape[1]) fail("size is {}, expected 1 to {}", size, 2 * shape[1]);
  const ValueId squares =
      ctx.reshape(ctx.add("Mul", {src, src}), {shape[0], 1, shape[1], shape.elements() / shape[0] / shape[1]});
  const int64_t before = (size - 1) / 2;
  const ValueId means = ctx.add("AveragePool", {squares},
                                {{"kernel_shape", Dims{size, 1}},
                                 {"pads", Dims{before, 0, size - 1 - before, 0}},
                                 {"count_include_pad", int64_t{1}}});
  const ValueId scaled = ctx.add("Mul", {ctx.reshape(means, shape.dims()), ctx.number(src, attrs.real("alpha"))});
  const ValueId sum = ctx.add("Add", {scaled, ctx.number(src, attrs.real("bias"))});
  return {ctx.add("Div", {src, ctx.add("Pow", {sum, ctx.number(src, attrs.real("beta"))})})};
}

void normalize_instance(NormalizeContext& ctx) { ctx.attrs.erase("consumed_inputs"); }

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "InstanceNormalization",
       .min_inputs = 3,
       .max_inputs = 3,
       .attrs = {{"epsilon", 1e-5}},
       .normalize = normalize_instance,
       .lower = lower_instance},
      {.name = "GroupNormalization",
       .since = 18,
       .min_inputs = 3,
       .max_inputs = 3,
       .attrs = {{"epsilon", 1e-5}, AttrSpec::required("num_groups", AttrKind::integer), {"stash_type", int64_t{1}}},
       .lower = lower_group},
      {.name = "LayerNormalization",
       .since = 17,
       .min_inputs = 2,
       .max_inputs = 3,
       .attrs = {{"axis", int64_t{-1}}, {"epsilon", 1e-5}, {"stash_type", int64_t{1}}},
       .lower = lower_layer},
      {.name = "MeanVarianceNormalization",
       .since = 9,
       .attrs = {{"axes", Dims{0, 2, 3}}},
       .lower = lower_mean_variance},
      {.name = "LpNormalization", .attrs = {{"axis", int64_t{-1}}, {"p", int64_t{2}}}, .lower = lower_lp},
      {.name = "RMSNormalization",
       .since = 23,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"axis", int64_t{-1}}, {"epsilon", 1e-5}, {"stash_type", int64_t{1}}},
       .lower = lower_rms},
      {.name = "LRN",
       .attrs = {AttrSpec::required("size", AttrKind::integer), {"alpha", 1e-4}, {"beta", 0.75}, {"bias", 1.0}},
       .lower = lower_lrn},
  };
  return ops;
}

}  // namespace hourglass::ops::normalizations
