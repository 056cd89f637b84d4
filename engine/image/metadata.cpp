#include "engine/image/metadata.h"

#include <cstddef>

namespace hourglass {
namespace {

constexpr unsigned kOrientationTag = 0x0112, kTypeShort = 3;

// A TIFF stream in either byte order. Reads beyond its end give 0, which no valid stream has at those places.
class Tiff {
 public:
  explicit Tiff(const std::vector<uint8_t>& bytes) : bytes_(bytes) {
    big_endian_ = byte(0) == 'M' && byte(1) == 'M';
    valid_ = (big_endian_ || (byte(0) == 'I' && byte(1) == 'I')) && u16(2) == 42;
  }
  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] unsigned u16(std::size_t at) const {
    return big_endian_ ? byte(at) << 8 | byte(at + 1) : byte(at + 1) << 8 | byte(at);
  }
  [[nodiscard]] std::size_t u32(std::size_t at) const {
    const std::size_t first = u16(at), second = u16(at + 2);
    return big_endian_ ? first << 16 | second : second << 16 | first;
  }

 private:
  [[nodiscard]] unsigned byte(std::size_t at) const { return at < bytes_.size() ? bytes_[at] : 0U; }

  const std::vector<uint8_t>& bytes_;
  bool big_endian_ = false, valid_ = false;
};

}  // namespace

// TIFF 6.0, section 2: header, then a directory of 12-byte entries (tag, type, count, value).
int exif_orientation(const std::vector<uint8_t>& exif) {
  const Tiff tiff(exif);
  if (!tiff.valid()) return 1;
  const std::size_t directory = tiff.u32(4);
  const std::size_t entries = tiff.u16(directory);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > exif.size()) return 1;
    if (tiff.u16(entry) != kOrientationTag || tiff.u16(entry + 2) != kTypeShort) continue;
    const unsigned value = tiff.u16(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace hourglass
