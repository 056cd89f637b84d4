// JPEG XL in and out through libjxl: gray and RGB, 8 and 16 bits, with the metadata of a photograph.
//
// Written: lossless, in a container (ISO/IEC 18181-2) whose boxes stand before the pixels: Exif, the photograph's XMP,
// and in XMP of our own the texts that a PNG has in chunks. Read: stills of any depth, lossless or not, whose alpha
// channel is opaque; CMYK and animations are refused, as are truncated and damaged files. Pixels lie as they are stored
// where the EXIF block says the same orientation as the codestream, else upright.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/image/decoded_image.h"

namespace hourglass {

// Refused from the header where the pixels, as libjxl holds them and as they are returned, would not fit into
// memory_limit bytes (0: those of the machine). Samples of more than 8 bits are read as 16.
DecodedImage decode_jxl(std::span<const uint8_t> bytes, std::size_t memory_limit = 0);

// EXIF, XMP and texts, of the boxes that are whole in the bytes.
Metadata read_jxl_metadata(std::span<const uint8_t> bytes);

// Of the beginning of a file.
struct JxlSize {
  int64_t width = 0, height = 0;  // as it is stored; 0 where it can't be told
};
JxlSize read_jxl_size(std::span<const uint8_t> bytes);

inline constexpr int64_t kMaxJxlSide = 1 << 18;  // pixels of an image that is written

struct JxlOptions {
  int bit_depth = 8;  // 8 or 16
  const Metadata* metadata = nullptr;
};

// What of the metadata encode_jxl() leaves out, in words: a colour profile that is damaged or made for other images,
// and IPTC. Pixel density has no place either, but where the EXIF block says it.
std::vector<std::string> lost_in_jxl(const Metadata& metadata, int channels);

std::vector<uint8_t> encode_jxl(const Image& image, const JxlOptions& options = {});

// Bytes that the program holds at most while it encodes such an image, which it holds too, with a margin of a tenth: of
// 6 megapixels in colour 555 MB with 8 bits and 654 with 16 were measured (libjxl 0.7).
constexpr std::size_t jxl_memory(int64_t pixels, int channels) {
  return 36'000'000 + static_cast<std::size_t>(pixels) * (channels == 1 ? 56 : 116);
}

// Of libjxl, as "0.7.0".
std::string libjxl_version();

}  // namespace hourglass
