#include "ops/simd/isa.h"

#include "ops/memory/onednn.h"
#include "ops/simd/amx.h"
#include "ops/simd/bf16_rows.h"
#include "ops/simd/gemm.h"
#include "ops/simd/winograd_transforms.h"

namespace hourglass::kernels {
namespace {

// Instructions that files compiled for x86-64-v3 use beside AVX2. oneDNN does not ask for them, and a virtual machine
// may hide them.
bool has_x86_64_v3() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

}  // namespace

bool has(Isa isa) {
  switch (isa) {
    case Isa::any: return true;
    case Isa::avx2: return has_isa(dnnl::cpu_isa::avx2) && has_x86_64_v3();
    case Isa::avx512: return has_isa(dnnl::cpu_isa::avx512_core) && has_x86_64_v3();
    case Isa::avx512_bf16: return has_isa(dnnl::cpu_isa::avx512_core_bf16) && has_x86_64_v3();
    case Isa::amx: return has_isa(dnnl::cpu_isa::avx512_core_amx) && has_x86_64_v3();
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

const Bf16Rows* bf16_rows() {
  static const Bf16Rows* const kRows = has(Isa::avx512_bf16) ? bf16_rows_avx512() : nullptr;
  return kRows;
}

const AmxLoops* amx_tiles() { return has(Isa::amx) ? amx_loops() : nullptr; }

}  // namespace hourglass::kernels
