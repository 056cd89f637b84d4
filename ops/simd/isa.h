// Asks which instruction sets this CPU has, as far as oneDNN may use them (ONEDNN_MAX_CPU_ISA): the one place that
// asks. The loops that need them are behind gemm_loops(), winograd_transforms(), amx_tiles() and bf16_rows().
#pragma once

#include <cstdint>
#include <string>

#include "graph/shape.h"

namespace hourglass::kernels {

// Each includes those before it. avx2 means all of x86-64-v3, avx512 all of x86-64-v4. No CPU has `never`.
enum class Isa : uint8_t { any, avx2, avx512, avx512_bf16, amx, never };

bool has(Isa isa);

struct GemmLoops;
// The instruction set of a kernel that multiplies `type` by these loops, as oneDNN names it: "avx2", "avx512_core",
// "avx512_core_bf16".
std::string isa_of(const GemmLoops& loops, DType type);

}  // namespace hourglass::kernels
