// What a file in memory becomes.
#pragma once

#include <string>
#include <vector>

#include "engine/image/image.h"
#include "engine/image/metadata.h"

namespace hourglass {

enum class ImageFormat : uint8_t { jpeg, png, jxl };

struct DecodedImage {
  Image image;
  Metadata metadata;
  ImageFormat format = ImageFormat::jpeg;
  int bit_depth = 8;                  // of the file: 8, or 16 for some PNG and JPEG XL
  std::string sha256;                 // of the file, in hexadecimal; empty unless decode_image() made this
  std::vector<std::string> warnings;  // what the codec found odd and survived
};

}  // namespace hourglass
