#include "ops/simd/isa.h"

#include "ops/memory/onednn.h"
#include "ops/simd/amx.h"
#include "ops/simd/gemm.h"
#include "ops/simd/winograd_transforms.h"

namespace hourglass::kernels {

bool has(Isa isa) {
  switch (isa) {
    case Isa::any: return true;
    case Isa::avx2: return has_isa(dnnl::cpu_isa::avx2);
    case Isa::avx512: return has_isa(dnnl::cpu_isa::avx512_core);
    case Isa::avx512_bf16: return has_isa(dnnl::cpu_isa::avx512_core_bf16);
    case Isa::amx: return has_isa(dnnl::cpu_isa::avx512_core_amx);
    case Isa::never: break;
  }
  return false;
}

std::string isa_of(const GemmLoops& loops, DType type) {
  return std::string(loops.isa) + (type == DType::bf16 ? "_bf16" : "");
}

const GemmLoops* gemm_loops(DType type) {
  if (type == DType::bf16) return has(Isa::avx512_bf16) ? gemm_avx512() : nullptr;
  if (type != DType::f32) return nullptr;
  if (has(Isa::avx512)) return gemm_avx512();
  return has(Isa::avx2) ? gemm_avx2() : nullptr;
}

const WinogradTransforms* winograd_transforms(DType type) {
  const GemmLoops* loops = gemm_loops(type);
  if (loops == nullptr) return nullptr;
  return loops == gemm_avx2() ? winograd_transforms_avx2() : winograd_transforms_avx512();
}

const AmxLoops* amx_tiles() { return has(Isa::amx) ? amx_loops() : nullptr; }

}  // namespace hourglass::kernels
