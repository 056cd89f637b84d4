// Whether an i64, of which a plan keeps 32 bits, may leave them. Bounds are followed from where whole numbers begin
// through the nodes that compute them; what is not known, such as what is cut off a floating number, is taken for a
// level of a byte, from -255 to 255. Numbers that leave 32 bits all the same stop at their bounds.
#pragma once

#include "ops/kernel.h"

namespace hourglass::kernels {

// Throws Error where sums or products of such levels leave them. Of other types, and of other ops, ReduceProd among them,
// it says nothing.
void require_32_bits(const PlanContext& ctx);

}  // namespace hourglass::kernels
