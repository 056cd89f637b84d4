// What the fuzz targets share. Each target is one function, LLVMFuzzerTestOneInput(), which libFuzzer calls with bytes
// of its own making and replay.cpp with those of files.
//
//   extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
//     return refusing({data, size}, [](Bytes bytes) { expect(decode(bytes).size() == 3, "three values"); });
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "graph/error.h"

namespace hourglass::fuzz {

using Bytes = std::span<const uint8_t>;

// Calls body(bytes), which may refuse them by an Error. Any other exception, a signal or a sanitizer's report is a
// finding. Returns 0, as a target does. With HOURGLASS_FUZZ_SAY in the environment, refusals are printed.
template <typename Body>
int refusing(Bytes bytes, const Body& body) {
  try {
    body(bytes);
  } catch (const Error& error) {
    if (std::getenv("HOURGLASS_FUZZ_SAY") != nullptr) std::fprintf(stderr, "refused: %s\n", error.what());
  }
  return 0;
}

// An image whose pixels take more is refused from its header: larger ones go the same ways, only slower.
inline constexpr std::size_t kMostPixelBytes = std::size_t{1} << 13;

// Whether these bytes are worth what takes a thousand times as long as to refuse them. libFuzzer runs much the same
// bytes again and again, so there it is one input of HOURGLASS_FUZZ_CHOOSES, by their sum; the tests take each.
inline bool is_chosen([[maybe_unused]] Bytes bytes) {
#ifdef HOURGLASS_FUZZ_CHOOSES
  uint32_t sum = 0;
  for (const uint8_t byte : bytes) sum = 31 * sum + byte;
  return sum % HOURGLASS_FUZZ_CHOOSES == 0;
#else
  return true;
#endif
}

// What must hold of everything that was not refused: ends the program otherwise.
inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace hourglass::fuzz
