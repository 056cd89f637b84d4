#include "ops/simd/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "ops/memory/onednn.h"
#include "ops/simd/amx.h"
#include "ops/simd/bf16_rows.h"
#include "ops/simd/gemm.h"
#include "ops/simd/winograd_transforms.h"

namespace hourglass::kernels {
namespace {

// All that the compiler may use in files built for the levels x86-64-v3 and x86-64-v4 of the System V psABI, by the CPU
// and the operating system. oneDNN asks for less, and a virtual machine may hide any of it.
#if defined(__x86_64__)
bool ask_for_x86_64_v3() {
  // clang 14 can't ask for F16C, LZCNT and MOVBE by name. F16C needs the registers of AVX, which the names ask for.
  constexpr unsigned kF16cMovbe = 1U << 29 | 1U << 22, kLzcnt = 1U << 5;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kF16cMovbe) != kF16cMovbe) return false;
  if (__get_cpuid(0x80000001U, &a, &b, &c, &d) == 0 || (c & kLzcnt) == 0) return false;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("fma");
}
bool has_x86_64_v3() {
  static const bool kHas = ask_for_x86_64_v3();
  return kHas;
}
bool has_x86_64_v4() {
  return has_x86_64_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#else
bool has_x86_64_v3() { return false; }
bool has_x86_64_v4() { return false; }
#endif

}  // namespace

bool has(Isa isa) {
  switch (isa) {
    case Isa::any: return true;
    case Isa::avx2: return has_isa(dnnl::cpu_isa::avx2) && has_x86_64_v3();
    case Isa::avx512: return has_isa(dnnl::cpu_isa::avx512_core) && has_x86_64_v4();
    case Isa::avx512_bf16: return has_isa(dnnl::cpu_isa::avx512_core_bf16) && has_x86_64_v4();
    case Isa::amx: return has_isa(dnnl::cpu_isa::avx512_core_amx) && has_x86_64_v4();
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
