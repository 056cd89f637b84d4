// What the ops that broadcast their operands against each other share.
#pragma once

#include "graph/op.h"
#include "ops/kernel.h"
#include "ops/loops/strided_loop.h"

namespace hourglass::kernels {

// For OpDef::normalize: drops the `axis` and `broadcast` attributes of opsets before 7 where they mean what numpy's
// rule means; throws Error where they do not.
void normalize_broadcast(NormalizeContext& ctx);

// A row-major operand, broadcast to the shape `full`, as a sequence: in the order in which `layout`, which pads
// nothing, has full's elements in memory.
class BroadcastOperand {
 public:
  BroadcastOperand(const TensorType& operand, const Shape& full, const MemoryDesc& layout);

  // The number of elements after which the sequence repeats itself; all of them where it does not.
  [[nodiscard]] int64_t period() const;

  // Elements [first, first + count) of the sequence. Allocates nothing.
  void read(const void* operand, int64_t first, int64_t count, float* dst) const;

 private:
  bool is_bf16_;
  StridedLoop<1> nest_{.extents = {}, .strides = {}};
};

}  // namespace hourglass::kernels
