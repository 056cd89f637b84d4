// What a network may compute in on this machine.
#pragma once

#include <cstdint>

namespace hourglass {

enum class Precision : uint8_t { f32, bf16 };

// Whether this CPU multiplies bf16 in hardware (avx512_core_bf16, AMX), as far as oneDNN may use it: ONEDNN_MAX_CPU_ISA
// counts. Elsewhere oneDNN emulates bf16 or has none, and f32 is faster.
bool has_native_bf16();

}  // namespace hourglass
