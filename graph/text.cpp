#include "graph/text.h"

#include <fmt/format.h>

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

std::string size_text(std::size_t bytes) {
  constexpr std::size_t kMiB = 1 << 20;
  return bytes < kMiB ? fmt::format("{} bytes", bytes) : fmt::format("{:.4g} MiB", static_cast<double>(bytes) / kMiB);
}

}  // namespace hourglass
