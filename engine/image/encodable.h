// Internal to engine/image: what the encoders of PNG and JPEG XL refuse alike.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/image/image.h"
#include "graph/error.h"

namespace hourglass::detail {

// Throws Error, with the format's name, for other than 1 or 3 channels, 8 or 16 bits, and sides from 1 to the most.
inline void check_encodable(std::string_view format, const Image& image, int bit_depth, int64_t most_wide,
                            int64_t most_high) {
  if (image.width < 1 || image.height < 1 || image.width > most_wide || image.height > most_high)
    fail("{}: an image of {}x{} cannot be written", format, image.width, image.height);
  if (image.channels != 1 && image.channels != 3) fail("{}: expected 1 or 3 channels, got {}", format, image.channels);
  if (bit_depth != 8 && bit_depth != 16) fail("{}: expected a bit depth of 8 or 16, got {}", format, bit_depth);
}

}  // namespace hourglass::detail
