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

// What must hold of everything that was not refused: ends the program otherwise.
inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace hourglass::fuzz
