#include "graph/text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hourglass {
namespace {

template <typename Part, typename Text>
std::string join_parts(std::span<const Part> parts, std::string_view between, const Text& text) {
  std::string result;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) result += between;
    result += text(parts[i]);
  }
  return result;
}

}  // namespace

std::string join(std::span<const std::string> parts, std::string_view between) {
  return join_parts(parts, between, [](std::string_view part) { return part; });
}
std::string join(std::span<const std::string_view> parts, std::string_view between) {
  return join_parts(parts, between, [](std::string_view part) { return part; });
}
std::string join(std::span<const int64_t> parts, std::string_view between) {
  return join_parts(parts, between, [](int64_t part) { return std::to_string(part); });
}

// Rounded up: who is given as much as it says has enough.
std::string size_text(std::size_t bytes) {
  constexpr std::size_t kMiB = 1 << 20;
  if (bytes < kMiB) return fmt::format("{} bytes", bytes);
  const double size = static_cast<double>(bytes) / kMiB;
  constexpr double kDigits = 4;
  const double unit = std::pow(10.0, std::max(0.0, kDigits - 1 - std::floor(std::log10(size))));
  return fmt::format("{:.15g} MiB", std::ceil(size * unit) / unit);
}

}  // namespace hourglass
