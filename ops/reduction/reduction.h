// Reductions along any axes of a tensor, as functions and as kernels.
//
// Every kernel accumulates in double, so a loss over millions of pixels is exact to float, and in an order that depends
// on shape, layout and instruction set, not on the number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/op.h"
#include "ops/kernel.h"

namespace hourglass::kernels {

enum class Reduce : uint8_t { sum, mean, l1, l2, sum_square, max, min, prod };

// finish(combine of map(x), number of elements), combined from `start` on.
struct ReductionFunctions {
  double start;
  double (*map)(double);
  double (*combine)(double, double);
  double (*finish)(double, double);
};
// Of elements of this type, as they count while a plan runs.
ReductionFunctions reduction_functions(Reduce which, DType dtype);

// Of sum, mean, l1, l2 or sum_square: a sum over rows of f32.
RowSum row_sum_of(Reduce which);

// The shape with 1 in the place of what is reduced.
Shape keepdims_shape(const Shape& src, const std::vector<bool>& reduced);

// The kernel that reduces input 0 along the dimensions that `reduced` marks.
KernelPlan plan_reduction(PlanContext& ctx, Reduce which, const std::vector<bool>& reduced);

}  // namespace hourglass::kernels
