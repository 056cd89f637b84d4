// Layouts and element types that elementwise kernels accept.
#pragma once

#include "ops/memory/view.h"

namespace hourglass::kernels {

// Whether the layout rounds extents up, as blocked layouts do.
bool has_padding(const MemoryDesc& desc);

// `desc` where its elements, together with the zeros that pad the channels of an activation, fill its memory without
// gaps; else row-major.
MemoryDesc elementwise_layout(const MemoryDesc& desc, const TensorType& type);

// Throws Error unless the elements are f32 or bf16.
void require_float(const TensorType& type);

// Throws Error unless every given input and every output is f32 or bf16, and all of one type.
void require_one_float_type(const PlanContext& ctx);

}  // namespace hourglass::kernels
