// has_isa() and has(): what may be asked of the CPU.
#include <doctest/doctest.h>

#include <dnnl.hpp>

#include "ops/memory/onednn.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {
namespace {

using dnnl::cpu_isa;

TEST_CASE("x86's instruction sets are found on x86 alone, and only where the CPU has them") {
#if defined(__x86_64__)
  CHECK(has_isa(cpu_isa::sse41));
  if (has_isa(cpu_isa::avx2)) CHECK(__builtin_cpu_supports("avx2"));
  if (has_isa(cpu_isa::avx512_core)) {
    CHECK(has_isa(cpu_isa::avx2));
    CHECK(__builtin_cpu_supports("avx512bw"));
  }
  if (has_isa(cpu_isa::avx512_core_bf16)) CHECK(__builtin_cpu_supports("avx512bf16"));
#else
  for (const cpu_isa isa : {cpu_isa::sse41, cpu_isa::avx, cpu_isa::avx2, cpu_isa::avx512_core,
                            cpu_isa::avx512_core_bf16, cpu_isa::avx512_core_amx}) {
    CHECK_FALSE(has_isa(isa));
  }
#endif
}

// The compiler may use all of a level in the files built for it.
TEST_CASE("loops run only on a CPU that has all of the x86-64 level they are built for") {
#if defined(__x86_64__) && !defined(__clang__)
  CHECK(has(Isa::avx2) == (has_isa(cpu_isa::avx2) && __builtin_cpu_supports("x86-64-v3") != 0));
  CHECK(has(Isa::avx512) == (has_isa(cpu_isa::avx512_core) && __builtin_cpu_supports("x86-64-v4") != 0));
#endif
  CHECK_FALSE(has(Isa::never));
}

}  // namespace
}  // namespace hourglass::kernels
