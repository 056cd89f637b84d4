// Shared by the ops that broadcast their operands (numpy's rule, as in ONNX): the attributes of old opsets, and the row
// loop of a binary function.
#pragma once

#include "graph/op.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/math.h"

namespace hourglass::kernels {

// For OpDef::normalize: drops the `axis` and `broadcast` attributes of opsets before 7 where they mean what numpy's
// rule means; throws Error where they do not.
void normalize_broadcast(NormalizeContext& ctx);

// dst = F(a, b) for a row, where an operand advances with step 1 or stays (step 0).
template <class F, class T>
HG_CLONES void row(const T* a, int64_t step_a, const T* b, int64_t step_b, T* dst, int64_t count) {
  if (step_a != 0 && step_b != 0) {
    for (int64_t i = 0; i < count; ++i) store(dst + i, F::value(load(a + i), load(b + i)));
  } else if (step_a != 0) {
    const float y = load(b);
    for (int64_t i = 0; i < count; ++i) store(dst + i, F::value(load(a + i), y));
  } else {
    const float x = load(a);
    for (int64_t i = 0; i < count; ++i) store(dst + i, F::value(x, load(b + i * step_b)));
  }
}

}  // namespace hourglass::kernels
