// has_isa(): what may be asked of the CPU.
#include <doctest/doctest.h>

#include <dnnl.hpp>

#include "ops/memory/onednn.h"

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

}  // namespace
}  // namespace hourglass::kernels
