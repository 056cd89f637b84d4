// What a photograph's file says beside its pixels, carried unchanged from the input to the output.
//
// The orientation stays a tag: the pixels are never rotated, so that a JPEG's coefficients keep their meaning.
// On the way: JPEG APP1/APP2/JFIF density <-> PNG eXIf/iCCP/pHYs, and XMP, IPTC and comments -> PNG texts; of a JPEG
// XL, boxes (jxl.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hourglass {

struct PixelDensity {
  double x = 1, y = 1;
  bool per_metre = false;  // otherwise only the ratio x : y means something
  bool operator==(const PixelDensity&) const = default;
};

struct Metadata {
  std::vector<uint8_t> icc_profile;
  std::vector<uint8_t> exif;  // the TIFF structure, without JPEG's "Exif\0\0"
  std::optional<PixelDensity> density;
  std::vector<std::pair<std::string, std::string>> text;  // PNG text chunks: keyword, UTF-8 text
};

// Of the text that holds XMP (Adobe, XMP Specification Part 3).
inline constexpr const char* kXmpKeyword = "XML:com.adobe.xmp";

// Of the text that holds IPTC, in hexadecimal, as ImageMagick writes it.
inline constexpr const char* kIptcKeyword = "Raw profile type iptc";

// Of the text that says how hourglass made an image.
inline constexpr const char* kRecordKeyword = "hourglass";

// Whether a block has a TIFF header and a first directory, without which no reader makes anything of it.
bool is_exif(const std::vector<uint8_t>& exif);
// Whether the bytes are well-formed UTF-8.
bool is_utf8(std::string_view text);
// The text as it is where it is UTF-8, else taken for ISO 8859-1, which texts without a name of their encoding mostly
// are.
std::string as_utf8(std::string text);
// Why an ICC profile means nothing for an image of that many channels; empty when it does.
std::string icc_complaint(const std::vector<uint8_t>& profile, int channels);

// EXIF tag 0x0112: 1 (upright) to 8; 1 where there is none or the EXIF block is damaged.
int exif_orientation(const std::vector<uint8_t>& exif);

}  // namespace hourglass
