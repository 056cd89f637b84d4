// Picks the loop that moves elements of a memory descriptor's size: an unsigned integer of 1, 2 or 4 bytes stands for
// the element, whatever it means.
#pragma once

#include <cstdint>

#include "ops/memory/onednn.h"

namespace hourglass::kernels {

// fn(a null pointer to an unsigned type of the size that elements of `desc` have).
template <typename Function>
void with_moved_element(const MemoryDesc& desc, const Function& fn) {
  switch (dnnl::memory::data_type_size(blocking_of(desc).data_type)) {
    case 1: return fn(static_cast<uint8_t*>(nullptr));
    case 2: return fn(static_cast<uint16_t*>(nullptr));
    default: return fn(static_cast<uint32_t*>(nullptr));
  }
}

}  // namespace hourglass::kernels
