// --size 640x480: width first, as people say it.
#pragma once

#include <cstdint>
#include <string>

namespace hourglass::cli {

struct ImageSize {
  int64_t width = 0, height = 0;
};

// Each side from 1 to 65535. Throws Error.
ImageSize parse_size(const std::string& text);

}  // namespace hourglass::cli
