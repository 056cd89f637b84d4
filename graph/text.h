// Lists in messages: "a, b, c". As fmt::join, which takes a list of anything and half a second of compilation per
// source.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hourglass {

std::string join(std::span<const std::string> parts, std::string_view between);
std::string join(std::span<const std::string_view> parts, std::string_view between);
std::string join(std::span<const int64_t> parts, std::string_view between);

}  // namespace hourglass
