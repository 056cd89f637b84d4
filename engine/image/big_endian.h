// Internal to engine/image: numbers as PNG, JPEG and boxes have them, the high byte first.
#pragma once

#include <cstdint>
#include <span>

namespace hourglass::detail {

// Of at most eight bytes.
inline uint64_t big_endian(std::span<const uint8_t> bytes) {
  uint64_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

}  // namespace hourglass::detail
