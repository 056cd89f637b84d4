// Internal to engine/image: the boxes of a JPEG XL file that hold metadata (ISO/IEC 18181-2), and the XMP of ours that
// holds texts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/image/metadata.h"

namespace hourglass::detail {

struct JxlBox {
  std::string type;  // four characters
  std::vector<uint8_t> content;
};

// Those that carry EXIF, XMP and texts; IPTC has no place in them.
std::vector<JxlBox> metadata_boxes(const Metadata& metadata);
// What such boxes say, as far as whole boxes follow one another: the beginning of a file is enough for those before the
// pixels. (libjxl writes the picture's header before them, and the pixels behind.) The warnings say what is damaged.
Metadata read_metadata_boxes(std::span<const uint8_t> bytes, std::vector<std::string>& warnings);

}  // namespace hourglass::detail
