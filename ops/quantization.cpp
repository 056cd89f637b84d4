// DequantizeLinear{axis, block_size}: dst = (src - zero_point) * scale.   ONNX DequantizeLinear-21 (from 10)
//   scale, zero_point (optional): one number, one for each index of `axis`, or, with a block_size, one for each block
//   of so many indices. For weights that a file keeps in a byte each: it folds.
#include "graph/error.h"
#include "graph/op.h"

namespace hourglass::ops::quantization {
namespace {

int64_t blocks_of(int64_t extent, int64_t block) { return extent / block + (extent % block != 0 ? 1 : 0); }

// Checks that scale fits src; answers with how many indices of the axis share one.
int64_t block_of(const Attrs& attrs, const Shape& src, const Shape& scale) {
  if (scale.elements() == 1 && scale.rank() <= 1) return 0;
  const int axis = normalize_axis(attrs.integer("axis"), src.rank());
  const int64_t block = attrs.integer("block_size");
  if (block == 0 && scale != Shape{src[axis]}) fail("scale is {}, expected one for each of {}", scale, src[axis]);
  if (block == 0) return 1;
  bool fits = block > 0 && scale.rank() == src.rank();
  for (int d = 0; fits && d < src.rank(); ++d) fits = scale[d] == (d == axis ? blocks_of(src[d], block) : src[d]);
  if (!fits) fail("scale {} does not fit {} in blocks of {} along axis {}", scale, src, block, axis);
  return block;
}

void infer(InferContext& ctx) {
  if (is_floating(ctx.inputs[0]->dtype)) fail("src is {}, expected whole numbers", ctx.inputs[0]->dtype);
  block_of(ctx.attrs, ctx.shape(0), ctx.shape(1));
  if (ctx.has(2) && ctx.shape(2).elements() != ctx.shape(1).elements()) {
    fail("scale is {} and zero_point {}, expected one shape", ctx.shape(1), ctx.shape(2));
  }
  ctx.outputs.push_back({ctx.inputs[1]->dtype, ctx.shape(0)});
}

void reference(ReferenceContext& ctx) {
  const HostTensor &src = *ctx.inputs[0], &scale = *ctx.inputs[1];
  const HostTensor* zero_point = ctx.inputs.size() > 2 ? ctx.inputs[2] : nullptr;
  const int64_t block = block_of(ctx.attrs, src.shape, scale.shape);
  int64_t extent = 1, inner = 1;
  if (block > 0) {
    const int axis = normalize_axis(ctx.attrs.integer("axis"), src.shape.rank());
    extent = src.shape[axis];
    for (int d = axis + 1; d < src.shape.rank(); ++d) inner *= src.shape[d];
  }
  const bool in_blocks = ctx.attrs.integer("block_size") > 0 && block > 0;
  const int64_t blocks = in_blocks ? blocks_of(extent, block) : 1;
  for (std::size_t i = 0; i < src.values.size(); ++i) {
    const auto n = static_cast<int64_t>(i);
    const int64_t index = n / inner % extent;
    const int64_t at = block == 0  ? 0
                       : in_blocks ? (n / inner / extent * blocks + index / block) * inner + n % inner
                                   : index;
    const auto k = static_cast<std::size_t>(at);
    const double zero = zero_point == nullptr ? 0 : zero_point->values[k];
    ctx.outputs[0].values[i] = (src.values[i] - zero) * scale.values[k];
  }
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {{.name = "DequantizeLinear",
                               .since = 10,
                               .min_inputs = 2,
                               .max_inputs = 3,
                               .attrs = {{"axis", int64_t{1}}, {"block_size", int64_t{0}}},
                               .infer = infer,
                               .no_gradient = "what is quantised is meant to be constant",
                               .reference = reference}};
  return ops;
}

}  // namespace hourglass::ops::quantization
