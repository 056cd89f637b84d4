// The kernel of an elementwise op, made of its OpDef::row alone: OpDef::plan = plan_by_row.
//
// The inputs are broadcast to the output's shape as in numpy. All are f32, or all bf16: then rows are widened, computed
// in f32 and rounded once. The output has the layout of an input of its shape, and may take over the memory of any of
// them. A layout that pads channels becomes row-major: networks are planned channels-last, where nothing is padded.
#pragma once

#include "ops/kernel.h"

namespace hourglass::ops {

KernelPlan plan_by_row(PlanContext& ctx);

}  // namespace hourglass::ops
