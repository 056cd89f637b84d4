// Which instructions this CPU has, as far as oneDNN may use them (ONEDNN_MAX_CPU_ISA): the one place that asks. What
// runs here by these instructions is gemm_loops(), winograd_transforms() and amx_tiles().
#pragma once

#include <cstdint>
#include <string>

#include "graph/shape.h"

namespace hourglass::kernels {

// Each has all that stand before it. AVX2 comes with FMA, AVX-512 with F, BW and VL. No CPU has `never`.
enum class Isa : uint8_t { any, avx2, avx512, avx512_bf16, amx, never };

bool has(Isa isa);

struct GemmLoops;
// "avx2", "avx512_core", "avx512_core_bf16": the instructions of a kernel that multiplies `type` by these loops.
std::string isa_of(const GemmLoops& loops, DType type);

}  // namespace hourglass::kernels
