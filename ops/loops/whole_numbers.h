// Elementwise kernels of whole numbers (i64 and i32 in 32 bits, u8, i8), for values computed while a plan runs: a
// quantiser's levels, indices. All operands have one type and are broadcast; arithmetic is done in 64 bits. i32, u8 and
// i8 wrap around, as in ONNX; i64 saturates at 32 bits, and is refused where that could happen to levels of a byte
// (whole_bounds.h). No gradient.
#pragma once

#include <functional>

#include "ops/kernel.h"

namespace hourglass::kernels {

// y = f(y, x) for `count` elements. y holds the first operand; the step is called once for each further one. Of a unary
// op x is null.
using WholeStep = std::function<void(int64_t* y, const int64_t* x, int64_t count)>;

// Throws Error for operands of other types, and where 32 bits are too few.
KernelPlan plan_whole(PlanContext& ctx, WholeStep step);

// plan_whole() of fn(a, b), or of fn(a).
template <typename Function>
WholeStep whole_step(Function fn) {
  return [fn](int64_t* y, const int64_t* x, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_invocable_v<Function, int64_t>) {
        y[i] = fn(y[i]);
      } else {
        y[i] = fn(y[i], x[i]);
      }
    }
  };
}

// Quotient and remainder as in C; 0 for a divisor of 0.
inline int64_t whole_quotient(int64_t a, int64_t b) { return b == 0 ? 0 : a / b; }

inline int64_t whole_rest(int64_t a, int64_t b) { return b == 0 ? 0 : a % b; }

// A number in an integer type: truncated, and modulo the type's range; 0 for NaN and infinity, which an i64 keeps. For
// references, whose doubles hold an i64 exactly up to 2^53.
double in_whole_type(double value, DType dtype);
double in_whole_type(int64_t value, DType dtype);

}  // namespace hourglass::kernels
