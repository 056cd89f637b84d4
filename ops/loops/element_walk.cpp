#include "ops/loops/element_walk.h"

#include "graph/error.h"

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

void require_float(const TensorType& type) {
  if (type.dtype == DType::f32 || type.dtype == DType::bf16) return;
  fail("no kernel computes this with {} elements: insert a Cast to float", type.dtype);
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

}  // namespace hourglass::kernels
