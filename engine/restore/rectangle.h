// A rectangle of an image, in pixels.
#pragma once

#include <cstdint>

namespace hourglass {

struct Rectangle {
  int64_t x = 0, y = 0, width = 0, height = 0;
};

}  // namespace hourglass
