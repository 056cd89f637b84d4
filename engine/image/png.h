// PNG in and out through libpng: gray and RGB, 8 and 16 bits, with the metadata of a photograph.
//
// Read: every colour type and depth, interlaced or not. Palettes become RGB; an alpha channel is accepted when it is
// opaque everywhere and refused otherwise. Truncated and damaged files are refused. Written: gray or RGB as the image
// is, 8 or 16 bits, values clamped to [0, 1] and rounded to the nearest code.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/image/decoded_image.h"

namespace hourglass {

// Refused from the header where the pixels would not fit into memory_limit bytes (0: no limit).
DecodedImage decode_png(std::span<const uint8_t> bytes, std::size_t memory_limit = 0);

// Of what stands before the pixels.
Metadata read_png_metadata(std::span<const uint8_t> bytes);

struct PngOptions {
  int bit_depth = 8;  // 8 or 16
  const Metadata* metadata = nullptr;
  // Metadata that a PNG can't hold (an ICC profile that is damaged, or made for another colour type) is left out and
  // named here.
  std::vector<std::string>* warnings = nullptr;
};

// The warning that encode_png() gives of metadata, known beforehand: a colour profile that is damaged or made for other
// images. Empty where all of it has a place in a PNG.
std::string lost_in_png(const Metadata& metadata, int channels);

std::vector<uint8_t> encode_png(const Image& image, const PngOptions& options = {});

// Of libpng, as "1.6.39".
std::string libpng_version();

}  // namespace hourglass
