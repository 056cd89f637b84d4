// Kernels of elementwise ops of whole numbers that are not known before a plan runs: a quantiser's levels, places that
// a network computes. Their operands are broadcast, and all of one type: i64 and i32, both of which lie in 32 bits, u8
// or i8. What is computed in 64 bits goes back into the type as ONNX has it, modulo its range; i64, of which 32 bits
// are kept, stops at their bounds instead, and is refused where levels of a byte would pass them (whole_bounds.h). No
// gradient flows through a whole number.
#pragma once

#include <functional>

#include "ops/kernel.h"

namespace hourglass::kernels {

// y = f(y, x), for some elements: called for each operand behind the first, which y is to begin with. Of an op of one
// operand x is null.
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

// A quotient without its fraction, and what it leaves, as in C; 0 where the divisor is.
inline int64_t whole_quotient(int64_t a, int64_t b) { return b == 0 ? 0 : a / b; }

inline int64_t whole_rest(int64_t a, int64_t b) { return b == 0 ? 0 : a % b; }

// What becomes of a number in a type of whole numbers: its fraction is cut off, and where it is out of range it counts
// modulo that. For references, whose doubles hold an i64 exactly up to 2^53.
double in_whole_type(double value, DType dtype);
double in_whole_type(int64_t value, DType dtype);

}  // namespace hourglass::kernels
