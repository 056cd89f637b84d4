#include "engine/runtime/precision.h"

#include <dnnl.hpp>

namespace hourglass {

bool has_native_bf16() {
  // An instruction set's number has the bits of all that it includes; it is 0 where there are none to choose from.
  const auto bits = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (bits & needed) == needed;
}

}  // namespace hourglass
