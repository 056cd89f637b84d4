#include "engine/image/jpeg_metadata.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>

#include "engine/image/jpeg.h"

namespace hourglass::detail {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kExif = "Exif\0\0"sv;
constexpr auto kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
constexpr auto kExtendedXmp = "http://ns.adobe.com/xmp/extension/\0"sv;
constexpr auto kPhotoshop = "Photoshop 3.0\0"sv;
constexpr const char* kCommentKeyword = "Comment";
constexpr double kMetresPerInch = 0.0254, kMetresPerCentimetre = 0.01;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

using Bytes = std::span<const uint8_t>;

// What a segment holds behind the mark; nothing where it has another one.
Bytes behind(jpeg_saved_marker_ptr segment, int marker, std::string_view mark) {
  const Bytes bytes(segment->data, segment->data_length);
  if (segment->marker != marker || bytes.size() <= mark.size()) return {};
  const bool same = std::equal(mark.begin(), mark.end(), bytes.begin(),
                               [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
  return same ? bytes.subspan(mark.size()) : Bytes();
}

bool starts_tiff(Bytes bytes) {
  const auto is = [&](std::string_view text) {
    return bytes.size() >= text.size() && std::equal(text.begin(), text.end(), bytes.begin());
  };
  return is("II*\0"sv) || is("MM\0*"sv);
}

// A block that is longer than a segment goes on in the next ones; a second block is none of the first one's business.
std::vector<uint8_t> read_exif(jpeg_saved_marker_ptr segment, std::vector<std::string>& warnings) {
  std::vector<uint8_t> exif;
  for (; segment != nullptr; segment = segment->next) {
    const Bytes part = behind(segment, JPEG_APP0 + 1, kExif);
    if (part.empty() || (!exif.empty() && starts_tiff(part))) continue;
    exif.insert(exif.end(), part.begin(), part.end());
  }
  if (exif.empty() || is_exif(exif)) return exif;
  warnings.emplace_back("its EXIF block is damaged and left out");
  return {};
}

void read_xmp(jpeg_saved_marker_ptr segment, Metadata& metadata, std::vector<std::string>& warnings) {
  bool found = false, extended = false;
  for (; segment != nullptr; segment = segment->next) {
    extended = extended || !behind(segment, JPEG_APP0 + 1, kExtendedXmp).empty();
    const Bytes packet = behind(segment, JPEG_APP0 + 1, kXmp);
    if (packet.empty() || found) continue;
    found = true;
    std::string text(packet.begin(), packet.end());
    while (!text.empty() && text.back() == '\0') text.pop_back();
    if (is_utf8(text) && text.find('\0') == std::string::npos)
      metadata.text.emplace_back(kXmpKeyword, std::move(text));
    else
      warnings.emplace_back("its XMP is not in UTF-8 and left out");
  }
  if (extended) warnings.emplace_back("its XMP is longer than a segment, and what goes beyond is left out");
}

void read_comments(jpeg_saved_marker_ptr segment, Metadata& metadata) {
  for (; segment != nullptr; segment = segment->next) {
    if (segment->marker != JPEG_COM) continue;
    std::string text(segment->data, segment->data + segment->data_length);
    while (!text.empty() && text.back() == '\0') text.pop_back();
    std::replace(text.begin(), text.end(), '\0', ' ');
    text = as_utf8(std::move(text));
    const std::string record_mark = std::string(kRecordKeyword) + "\n";
    if (text.starts_with(record_mark)) {
      metadata.text.emplace_back(kRecordKeyword, text.substr(record_mark.size()));
    } else if (!text.empty()) {
      metadata.text.emplace_back(kCommentKeyword, std::move(text));
    }
  }
}

// The resources of Photoshop's block that say whose the photograph is and what it shows. Each is "8BIM", a number, a
// name and a length, name and content padded to even lengths (Adobe, Photoshop File Formats, "Image Resource Blocks").
std::vector<uint8_t> authorship(Bytes block, bool& damaged) {
  constexpr unsigned kIptc = 0x0404, kCopyrighted = 0x040a, kUrl = 0x040b;
  constexpr auto kMark = "8BIM"sv;
  constexpr std::size_t kHead = 6;  // mark and number
  const auto even = [](std::size_t size) { return size + size % 2; };
  std::vector<uint8_t> kept;
  for (std::size_t at = 0; at + kHead < block.size();) {
    const std::size_t name = at + kHead;
    const std::size_t length = name + even(std::size_t{1} + block[name]);
    damaged = !std::equal(kMark.begin(), kMark.end(), block.begin() + static_cast<std::ptrdiff_t>(at)) ||
              length + 4 > block.size();
    if (damaged) return kept;
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4; ++i) size = size << 8 | block[length + i];
    damaged = size > block.size() - length - 4;
    if (damaged) return kept;
    const std::size_t end = length + 4 + size;
    const unsigned number = static_cast<unsigned>(block[at + 4]) << 8 | block[at + 5];
    if (number == kIptc || number == kCopyrighted || number == kUrl) {
      kept.insert(kept.end(), block.begin() + static_cast<std::ptrdiff_t>(at),
                  block.begin() + static_cast<std::ptrdiff_t>(end));
      if (size % 2 != 0) kept.push_back(0);
    }
    at = length + 4 + even(size);
  }
  return kept;
}

void read_photoshop(jpeg_saved_marker_ptr segment, Metadata& metadata, std::vector<std::string>& warnings) {
  std::vector<uint8_t> block;  // of all segments: a resource may go on in the next one
  for (; segment != nullptr; segment = segment->next) {
    const Bytes part = behind(segment, JPEG_APP0 + 13, kPhotoshop);
    block.insert(block.end(), part.begin(), part.end());
  }
  bool damaged = false;
  const std::vector<uint8_t> kept = authorship(block, damaged);
  if (damaged) warnings.emplace_back("its Photoshop block (IPTC) is damaged, and the rest of it is left out");
  if (kept.empty()) return;
  // A name, the length, and the bytes in hexadecimal, 36 to a line.
  constexpr std::size_t kLine = 36;
  std::string text = fmt::format("\niptc\n{:8}", kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (i % kLine == 0) text += '\n';
    text += fmt::format("{:02x}", kept[i]);
  }
  metadata.text.emplace_back(kIptcKeyword, text + "\n");
}

// The bytes of such a text; none where it is no such.
std::vector<uint8_t> bytes_of_profile(const std::string& text) {
  std::istringstream lines(text);
  std::string name, digits;
  std::size_t size = 0;
  lines >> name >> size;
  for (std::string line; lines >> line;) digits += line;
  std::vector<uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    uint8_t byte = 0;
    const char* end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, byte, 16).ptr != end) return {};
    bytes.push_back(byte);
  }
  return bytes.size() == size ? bytes : std::vector<uint8_t>();
}

// A text as it stands in a JPEG: the mark that each of its segments begins with, and what follows it.
struct MarkedText {
  int marker = JPEG_COM;
  std::string_view mark = {};
  std::string content;
  bool goes_on = false;  // where it is longer than a segment
};

MarkedText marked(const std::string& keyword, const std::string& text) {
  if (keyword == kXmpKeyword) return {.marker = JPEG_APP0 + 1, .mark = kXmp, .content = text};
  if (keyword == kIptcKeyword) {
    const std::vector<uint8_t> bytes = bytes_of_profile(text);
    return {.marker = JPEG_APP0 + 13, .mark = kPhotoshop, .content = {bytes.begin(), bytes.end()}, .goes_on = true};
  }
  return {.content = keyword == kCommentKeyword ? text : keyword + "\n" + text};
}

std::size_t room_of(const MarkedText& text) { return kMaxSegment - text.mark.size(); }

}  // namespace

std::vector<JpegSegment> text_segments(const Metadata& metadata) {
  std::vector<JpegSegment> segments;
  for (const auto& [keyword, text] : metadata.text) {
    const MarkedText whole = marked(keyword, text);
    const std::size_t room = room_of(whole);
    if (whole.content.size() > room && !whole.goes_on) continue;
    for (std::size_t at = 0; at < whole.content.size(); at += room) {
      const std::string part = std::string(whole.mark) + whole.content.substr(at, room);
      segments.push_back({.marker = whole.marker, .content = {part.begin(), part.end()}});
    }
  }
  return segments;
}

Metadata read_metadata(JpegReader& reader, std::vector<std::string>& warnings) {
  jpeg_decompress_struct* cinfo = reader.get();
  Metadata metadata;
  metadata.exif = read_exif(cinfo->marker_list, warnings);
  read_xmp(cinfo->marker_list, metadata, warnings);
  read_photoshop(cinfo->marker_list, metadata, warnings);
  read_comments(cinfo->marker_list, metadata);
  JOCTET* profile = nullptr;
  unsigned int profile_bytes = 0;
  reader.run([&] { jpeg_read_icc_profile(cinfo, &profile, &profile_bytes); });
  const std::unique_ptr<JOCTET, Free> owner(profile);
  if (profile != nullptr) metadata.icc_profile.assign(profile, profile + profile_bytes);
  if (cinfo->saw_JFIF_marker) {
    const double x = cinfo->X_density, y = cinfo->Y_density;
    const bool physical = cinfo->density_unit == 1 || cinfo->density_unit == 2;
    const double unit = cinfo->density_unit == 1 ? kMetresPerInch : kMetresPerCentimetre;
    if (x > 0 && y > 0 && physical) metadata.density = PixelDensity{.x = x / unit, .y = y / unit, .per_metre = true};
    if (x > 0 && y > 0 && !physical && x != y) metadata.density = PixelDensity{.x = x, .y = y, .per_metre = false};
  }
  return metadata;
}

}  // namespace hourglass::detail

namespace hourglass {

std::vector<std::string> lost_in_jpeg(const Metadata& metadata) {
  std::vector<std::string> lost;
  if (metadata.exif.size() > kMaxJpegExif) {
    lost.push_back(fmt::format("its EXIF block of {} bytes is too long for a JPEG and left out", metadata.exif.size()));
  }
  for (const auto& [keyword, text] : metadata.text) {
    const detail::MarkedText whole = detail::marked(keyword, text);
    const std::string name = keyword == kXmpKeyword    ? "XMP"
                             : keyword == kIptcKeyword ? "IPTC"
                                                       : fmt::format("text '{}'", keyword);
    if (whole.content.empty() && !text.empty()) {
      lost.push_back(fmt::format("its {} is damaged and left out", name));
    } else if (whole.content.size() > detail::room_of(whole) && !whole.goes_on) {
      lost.push_back(fmt::format("its {} of {} bytes is too long for a JPEG and left out", name, text.size()));
    }
  }
  return lost;
}

}  // namespace hourglass
