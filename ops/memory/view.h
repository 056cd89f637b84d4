// Translates oneDNN's description of an activation's layout into a View (ops/geometry/activation_view.h).
#pragma once

#include <cstdint>

#include "ops/geometry/activation_view.h"
#include "ops/memory/onednn.h"

namespace hourglass::kernels {

// Throws Error for a layout that no View describes (then the plan should ask for in_layout_of() or plain()).
View view_of(const MemoryDesc& desc);
bool is_viewable(const MemoryDesc& desc);

// The number of elements, padding included: for elementwise loops over a dense layout.
inline int64_t padded_elements(const MemoryDesc& desc) {
  return static_cast<int64_t>(desc.get_size() / dnnl::memory::data_type_size(blocking_of(desc).data_type));
}

}  // namespace hourglass::kernels
