#include "engine/image/metadata.h"

#include <fmt/core.h>

#include <algorithm>
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

// ICC.1:2022, table 19.
std::string name_of_space(std::string_view signature) {
  if (signature == "GRAY") return "gray";
  const std::string_view name = signature.substr(0, signature.find_last_not_of(' ') + 1);
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
  return printable && !name.empty() ? std::string(name) : "another colour space";
}

}  // namespace

bool is_exif(const std::vector<uint8_t>& exif) {
  const Tiff tiff(exif);
  constexpr std::size_t kHeader = 8;
  return tiff.valid() && tiff.u32(4) >= kHeader && tiff.u32(4) + 2 <= exif.size();
}

// RFC 3629, section 4.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    const unsigned first = byte(i), second = byte(i + 1);
    const std::size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 0 || first > 0xf4) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    // Longer than needed, surrogates, beyond the last code.
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f))
      return false;
    i += length;
  }
  return true;
}

std::string as_utf8(std::string text) {
  if (is_utf8(text)) return text;
  std::string result;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x80) {
      result += c;
    } else {
      result += static_cast<char>(0xc0 | code >> 6);
      result += static_cast<char>(0x80 | (code & 0x3f));
    }
  }
  return result;
}

// libpng 1.6.39 checks this itself and drops the profile, 1.6.48 gives up on the whole file.  ICC.1:2022, 7.2 and 7.3.
std::string icc_complaint(const std::vector<uint8_t>& profile, int channels) {
  constexpr std::size_t kHeaderBytes = 128, kTagBytes = 12, kSpaceAt = 16;
  if (profile.size() < kHeaderBytes + 4) return "it is too short";
  const auto number = [&](std::size_t at) {
    return std::size_t{profile[at]} << 24 | std::size_t{profile[at + 1]} << 16 | std::size_t{profile[at + 2]} << 8 |
           std::size_t{profile[at + 3]};
  };
  const auto text = [&](std::size_t at) { return std::string(&profile[at], &profile[at] + 4); };
  if (number(0) != profile.size()) return "it states another length than it has";
  if (text(36) != "acsp") return "it has no signature";
  constexpr int kVersionInFours = 4;  // from this major version on a length is a multiple of four
  if (profile[8] >= kVersionInFours && profile.size() % 4 != 0) return "its length is no multiple of four";
  if (number(kHeaderBytes) > (profile.size() - kHeaderBytes - 4) / kTagBytes) return "its table of tags is cut off";
  if (text(kSpaceAt) != (channels == 1 ? "GRAY" : "RGB "))
    return fmt::format("it is made for {}, and the image is {}", name_of_space(text(kSpaceAt)),
                       channels == 1 ? "gray" : "RGB");
  return {};
}

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
