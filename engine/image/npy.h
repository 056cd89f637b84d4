// NumPy's .npy files, for measurements that are no image: float32, float64 or uint8, row-major, little-endian, up to
// 1 GiB.                                                        NEP 1; numpy.lib.format, versions 1.0 to 3.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hourglass {

struct Array {
  std::vector<int64_t> shape;
  std::vector<float> values;  // as in the file: bytes stay 0 to 255
};

bool is_npy(std::span<const uint8_t> bytes);
// Throws Error.
Array decode_npy(std::span<const uint8_t> bytes);
// float32, version 1.0.
std::vector<uint8_t> encode_npy(const Array& array);

}  // namespace hourglass
