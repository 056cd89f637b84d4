#include "engine/image/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

#include "graph/error.h"

namespace hourglass {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kMaxBytes = int64_t{1} << 30;

uint64_t little_endian(const uint8_t* bytes, std::size_t count) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value |= uint64_t{bytes[i]} << (8 * i);
  return value;
}

// What stands behind 'key': in the header, a Python dictionary.
std::string_view entry(std::string_view header, std::string_view key) {
  const std::size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) fail("the header has no '{}'", key);
  std::string_view value = header.substr(at + key.size() + 3);
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

std::vector<int64_t> shape_of(std::string_view text) {
  const std::size_t end = text.find(')');
  if (!text.starts_with('(') || end == std::string_view::npos) fail("the header's shape is damaged");
  std::vector<int64_t> shape;
  const char *at = text.data() + 1, *last = text.data() + end;
  while (at < last) {
    int64_t extent = 0;
    const auto [next, error] = std::from_chars(at, last, extent);
    if (error != std::errc() || extent < 1) fail("the header's shape is damaged, or empty");
    shape.push_back(extent);
    at = std::find_if(next, last, [](char c) { return c != ',' && c != ' '; });
  }
  return shape;
}

}  // namespace

bool is_npy(std::span<const uint8_t> bytes) {
  return bytes.size() > kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

Array decode_npy(std::span<const uint8_t> bytes) {
  if (!is_npy(bytes) || bytes.size() < 12) fail("is no .npy file, or is cut short");
  const std::size_t width = bytes[6] == 1 ? 2 : 4;  // of the header's length, by version
  const uint64_t length = little_endian(bytes.data() + 8, width);
  if (length > bytes.size() - 8 - width) fail("is cut short within its header");
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8 + width, length);
  const uint8_t* data = bytes.data() + 8 + width + length;
  const std::size_t left = bytes.size() - 8 - width - length;

  const std::string_view type = entry(header, "descr").substr(0, 5);
  const bool f32 = type == "'<f4'", f64 = type == "'<f8'", u8 = type == "'|u1'";
  if (!f32 && !f64 && !u8) fail("has elements {}, expected '<f4', '<f8' or '|u1': save it as float32", type);
  if (!entry(header, "fortran_order").starts_with("False")) {
    fail("is stored column by column: save it with numpy.ascontiguousarray");
  }
  Array array{.shape = shape_of(entry(header, "shape")), .values = {}};
  const std::size_t size = f64 ? 8 : f32 ? 4 : 1;
  int64_t count = 1;
  for (const int64_t extent : array.shape) {
    if (extent > kMaxBytes / count) fail("is larger than {} MiB", kMaxBytes >> 20);
    count *= extent;
  }
  if (left != static_cast<std::size_t>(count) * size) {
    fail("should hold {} bytes behind its header, it has {}", static_cast<std::size_t>(count) * size, left);
  }
  array.values.reserve(static_cast<std::size_t>(count));
  for (int64_t i = 0; i < count; ++i, data += size) {
    const uint64_t bits = little_endian(data, size);
    array.values.push_back(f64   ? static_cast<float>(std::bit_cast<double>(bits))
                           : f32 ? std::bit_cast<float>(static_cast<uint32_t>(bits))
                                 : static_cast<float>(bits));
    if (!std::isfinite(array.values.back())) {
      fail("holds {} as element {}, counted from 0: expected finite float32 numbers", array.values.back(), i);
    }
  }
  return array;
}

std::vector<uint8_t> encode_npy(const Array& array) {
  std::string shape;
  for (const int64_t extent : array.shape) shape += fmt::format("{}{}", shape.empty() ? "" : ", ", extent);
  if (array.shape.size() == 1) shape += ',';  // a tuple of one has a comma too
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape);
  // The data starts at a multiple of 64 bytes.
  constexpr std::size_t kPrefix = 10, kAlignment = 64;
  header.resize((kPrefix + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment - kPrefix - 1, ' ');
  header += '\n';
  std::vector<uint8_t> bytes(kMagic.begin(), kMagic.end());
  for (const std::size_t byte : {std::size_t{1}, std::size_t{0}, header.size() & 0xff, header.size() >> 8}) {
    bytes.push_back(static_cast<uint8_t>(byte));
  }
  bytes.insert(bytes.end(), header.begin(), header.end());
  for (const float value : array.values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(bits >> shift));
  }
  return bytes;
}

}  // namespace hourglass
