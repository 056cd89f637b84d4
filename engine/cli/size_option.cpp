#include "engine/cli/size_option.h"

#include <charconv>

#include "graph/error.h"

namespace hourglass::cli {

ImageSize parse_size(const std::string& text) {
  ImageSize size;
  const char* end = text.data() + text.size();
  const auto [x, width_error] = std::from_chars(text.data(), end, size.width);
  if (width_error == std::errc() && x != end && *x == 'x') {
    const auto [rest, height_error] = std::from_chars(x + 1, end, size.height);
    const bool in_range = size.width >= 1 && size.height >= 1 && size.width <= 65535 && size.height <= 65535;
    if (height_error == std::errc() && rest == end && in_range) return size;
  }
  fail("--size {}: WIDTHxHEIGHT is expected, each from 1 to 65535, as in 640x480", text);
}

}  // namespace hourglass::cli
