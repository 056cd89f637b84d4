// JPEG XL files as others write them, made with libjxl directly.
#pragma once

#include <jxl/encode.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace hourglass::test {

// A lossless file of one kind of sample, with what `change` makes of its header.
struct ForeignJxl {
  uint32_t channels = 3;  // with alpha
  std::function<void(JxlBasicInfo&)> change = {};
  bool wide_gamut = false;  // Display P3
  uint8_t alpha = 255;
  std::vector<std::pair<std::string, std::vector<uint8_t>>> boxes = {};  // type and content, which is compressed
  bool is_flat = false;                                                  // of one colour
};

std::vector<uint8_t> encode_foreign_jxl(uint32_t width, uint32_t height, const ForeignJxl& options);

}  // namespace hourglass::test
