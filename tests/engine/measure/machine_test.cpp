#include "engine/measure/machine.h"

#include <doctest/doctest.h>

namespace hourglass {
namespace {

TEST_CASE("the instruction set has a name of x86 on x86 alone") {
  const std::string isa = this_machine().isa;
  CAPTURE(isa);
  const bool is_named = isa.starts_with("sse") || isa.starts_with("avx");
#if defined(__x86_64__)
  CHECK((is_named || isa.starts_with("instruction set 0x")));  // of a newer oneDNN
#else
  CHECK_FALSE(is_named);
  CHECK(isa.starts_with("instruction set 0x"));
#endif
}

}  // namespace
}  // namespace hourglass
