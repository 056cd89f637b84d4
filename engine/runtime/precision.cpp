#include "engine/runtime/precision.h"

#include "ops/memory/onednn.h"

namespace hourglass {

bool has_native_bf16() { return kernels::has_isa(dnnl::cpu_isa::avx512_core_bf16); }

}  // namespace hourglass
