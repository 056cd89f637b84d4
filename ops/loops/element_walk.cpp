#include "ops/loops/element_walk.h"

#include "graph/error.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/strided_loop.h"

namespace hourglass::kernels {

bool has_padding(const MemoryDesc& desc) {
  const Blocking b = blocking_of(desc);
  return b.padded_dims != b.dims;
}

MemoryDesc elementwise_layout(const MemoryDesc& desc, const TensorType& type) {
  const Blocking b = blocking_of(desc);
  int64_t elements = 1;
  for (const int64_t extent : b.padded_dims) elements *= extent;
  const bool dense = padded_elements(desc) == elements && b.offset == 0;
  return dense && (!has_padding(desc) || is_viewable(desc)) ? desc : plain(type);
}

void require_one_float_type(const PlanContext& ctx) {
  const DType expected = ctx.out().dtype;
  const auto check = [&](DType found) {
    if ((found != DType::f32 && found != DType::bf16) || found != expected) {
      fail("kernels compute with f32 or bf16, the same for all operands; found {} and {}: insert a Cast", expected,
           found);
    }
  };
  check(expected);
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) {
    if (ctx.has(i)) check(ctx.in(i).dtype);
  }
}

ElementWalk::ElementWalk(const MemoryDesc& desc, bool zero_stays)
    : count_(padded_elements(desc)), flat_(zero_stays || !has_padding(desc)) {
  if (!flat_) view_ = view_of(desc);
}

Dims broadcast_strides(const Shape& shape, const Shape& full) {
  const Dims own = shape.strides();
  Dims strides(static_cast<std::size_t>(full.rank()), 0);
  const int shift = full.rank() - shape.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1) strides[static_cast<std::size_t>(i + shift)] = own[static_cast<std::size_t>(i)];
  }
  return strides;
}

// Before opset 7, `axis` placed b's dimensions within a's, and broadcasting had to be requested. Where that agrees with
// numpy's rule, the attributes are dropped.
void normalize_broadcast(NormalizeContext& ctx) {
  ctx.attrs.erase("consumed_inputs");
  if (ctx.opset >= 7) return;
  if (ctx.attrs.has("axis") && ctx.inputs.size() == 2) {
    const int rank_a = ctx.graph.shape(ctx.inputs[0]).rank(), rank_b = ctx.graph.shape(ctx.inputs[1]).rank();
    const int64_t axis = ctx.attrs.integer("axis");
    if ((axis < 0 ? axis + rank_a : axis) != rank_a - rank_b) {
      fail("broadcasts along axis {} in the manner of opset {}, which is not numpy's: export with opset 7 or later",
           axis, ctx.opset);
    }
  }
  ctx.attrs.erase("axis");
  ctx.attrs.erase("broadcast");
}

}  // namespace hourglass::kernels
