// A rectangle of a JPEG's blocks as a file of its own, for work that goes through a large picture part by part.
#pragma once

#include <cstdint>

#include "engine/image/jpeg.h"
#include "engine/restore/rectangle.h"

namespace hourglass {

// The least number of pixels, in each direction, after which all components begin a new block: the sides of an MCU.
inline int64_t mcu_width(const JpegCoefficients& file) { return int64_t{8} * file.max_h_sampling; }
inline int64_t mcu_height(const JpegCoefficients& file) { return int64_t{8} * file.max_v_sampling; }

// The blocks that hold the rectangle, without warnings. It begins with an MCU, and ends with one or with the picture.
JpegCoefficients part_of(const JpegCoefficients& file, const Rectangle& rectangle);

}  // namespace hourglass
