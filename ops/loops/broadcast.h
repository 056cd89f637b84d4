// Broadcasting (numpy's rule, as in ONNX) for elementwise ops: the attributes of old opsets, and BroadcastOperand,
// which reads an operand in the memory order of the result, so that a kernel's row loop sees operands of equal length.
#pragma once

#include "graph/op.h"
#include "ops/kernel.h"
#include "ops/loops/strided_loop.h"

namespace hourglass::kernels {

// For OpDef::normalize: drops the `axis` and `broadcast` attributes of opsets before 7 where they mean what numpy's
// rule means; throws Error where they do not.
void normalize_broadcast(NormalizeContext& ctx);

// A row-major operand, broadcast to the shape `full`, as a sequence of elements in the order in which `layout`, which
// may have no padding, holds the elements of `full` in memory.
class BroadcastOperand {
 public:
  BroadcastOperand(const TensorType& operand, const Shape& full, const MemoryDesc& layout);

  // The number of elements after which the sequence repeats; all of them where it does not; 1 where there are none.
  [[nodiscard]] int64_t period() const;

  // Writes elements [first, first + count) of the sequence to dst, as f32 or, of whole numbers, as int64_t; none
  // where there are none. Allocates nothing.
  void read(const void* operand, int64_t first, int64_t count, float* dst) const;
  void read(const void* operand, int64_t first, int64_t count, int64_t* dst) const;

 private:
  DType dtype_;
  StridedLoop<1> nest_{.extents = {}, .strides = {}};
};

}  // namespace hourglass::kernels
