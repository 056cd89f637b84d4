// Row loops as on an older CPU: linked into a program of tests, this makes HG_CLONES' loops run in the version for
// x86-64-v3, or in the one for every x86-64, on a CPU that would run a better one.
//
// The versions' resolvers, which the loader calls, ask libgcc's description of the CPU (__builtin_cpu_supports), and
// call
// __cpu_indicator_init() for it to be filled in. The program is linked with --wrap=__cpu_indicator_init, so that they
// call the function below, which takes the levels above HOURGLASS_CLONES_LIMIT (3, or 1 for the baseline) out of it.
// The loader calls it before anything else runs: it may use neither the C library nor anything that must be
// constructed.
#include <doctest/doctest.h>

#include <cstdint>

#include "ops/loops/clones.h"

extern "C" {

int __real___cpu_indicator_init();

// libgcc's, of GCC 12 and later: bits by feature, in an order that we need not know.
extern unsigned __cpu_features2[] __attribute__((visibility("hidden")));

int __wrap___cpu_indicator_init() {
  const int result = __real___cpu_indicator_init();
  volatile unsigned* words = __cpu_features2;
  const auto has_level = [](int level) {
    __asm__ volatile("" ::: "memory");
    return level == 4 ? __builtin_cpu_supports("x86-64-v4") != 0 : __builtin_cpu_supports("x86-64-v3") != 0;
  };
  for (int level = 4; level >= 3 && level > HOURGLASS_CLONES_LIMIT; --level) {
    // A level's bit is the one without which the CPU no longer has it.
    for (int bit = 0; has_level(level); ++bit) {
      const unsigned before = words[bit / 32];
      words[bit / 32] = before & ~(1U << (bit % 32));
      if (has_level(level)) words[bit / 32] = before;
    }
  }
  return result;
}

}  // extern "C"

namespace hourglass {
namespace {

// The versions for x86-64-v3 and -v4 round a product and a sum once, the baseline has no instruction for that.
HG_CLONES void multiply_add(const float* a, const float* b, float* sums, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sums[i] += a[i] * b[i];
}

TEST_CASE("the row loops are those of an older CPU") {
  constexpr int64_t kCount = 64;
  constexpr float kStep = 1.0F / 4096;
  float a[kCount], sums[kCount];
  for (int64_t i = 0; i < kCount; ++i) {
    a[i] = 1 + kStep;
    sums[i] = -(1 + 2 * kStep);
  }
  multiply_add(a, a, sums, kCount);
  CHECK_FALSE(__builtin_cpu_supports("x86-64-v4"));
  const bool fuses = __builtin_cpu_supports("x86-64-v3");
  if (HOURGLASS_CLONES_LIMIT < 3) CHECK_FALSE(fuses);
  for (const float sum : sums) CHECK(sum == (fuses ? kStep * kStep : 0.0F));
}

}  // namespace
}  // namespace hourglass
