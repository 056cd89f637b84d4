// Lists and sizes in messages.
//
// join() makes "a, b, c". As fmt::join, which takes a list of anything and half a second of compilation per
// source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hourglass {

std::string join(std::span<const std::string> parts, std::string_view between);
std::string join(std::span<const std::string_view> parts, std::string_view between);
std::string join(std::span<const int64_t> parts, std::string_view between);

// "800 bytes", "1.5 MiB".
std::string size_text(std::size_t bytes);

}  // namespace hourglass
