#include "engine/image/jxl_metadata.h"

#include <fmt/core.h>
#include <jxl/decode.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/image/big_endian.h"
#include "engine/image/jxl_decoder.h"

namespace hourglass::detail {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr std::string_view kNamespace = "urn:hourglass:1";
constexpr std::string_view kPacketBegin =
    R"(<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">)"
    R"(<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" )"
    R"(xmlns:hourglass="urn:hourglass:1"><hourglass:texts><rdf:Bag>)";
constexpr std::string_view kPacketEnd =
    R"(</rdf:Bag></hourglass:texts></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>)";
constexpr std::string_view kItemBegin = R"(<rdf:li rdf:parseType="Resource"><hourglass:keyword>)";
constexpr std::string_view kBetween = "</hourglass:keyword><hourglass:text>";
constexpr std::string_view kItemEnd = "</hourglass:text></rdf:li>";

constexpr std::string_view kExifType = "Exif", kXmlType = "xml ", kCompressed = "brob";  // of boxes
constexpr std::size_t kExifOffset = 4;  // bytes before the TIFF structure that say where it begins

// XML 1.0, 2.2: no other control characters; and a reader makes a line feed of a carriage return.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else if (c == '\r') {
      result += "&#13;";
    } else if (static_cast<unsigned char>(c) >= ' ' || c == '\n' || c == '\t') {
      result += c;
    } else {
      result += "\xef\xbf\xbd";  // U+FFFD
    }
  }
  return result;
}

std::string unescaped(std::string_view text) {
  constexpr std::pair<std::string_view, char> kNames[] = {
      {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&#13;", '\r'}};
  std::string result;
  while (!text.empty()) {
    const std::size_t plain = std::min(text.find('&'), text.size());
    result += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto* const known = std::find_if(std::begin(kNames), std::end(kNames),
                                           [&](const auto& one) { return text.starts_with(one.first); });
    const bool is_name = known != std::end(kNames);
    result += is_name ? known->second : text.front();
    text.remove_prefix(is_name ? known->first.size() : 1);
  }
  return result;
}

std::string_view text_in(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

struct FoundBox {
  std::string_view type;
  Bytes content;
  Bytes whole;  // with its head
};

// Takes the first box off the bytes; nothing where it is not whole.
std::optional<FoundBox> take_box(Bytes& bytes) {
  std::size_t head = 8;
  if (bytes.size() < head) return {};
  std::size_t size = big_endian(bytes.first(4));
  if (size == 1) {
    head = 16;
    if (bytes.size() < head) return {};
    size = big_endian(bytes.subspan(8, 8));
  } else if (size == 0) {
    size = bytes.size();  // to the end of the file
  }
  if (size < head || size > bytes.size()) return {};
  const FoundBox box{
      .type = text_in(bytes.subspan(4, 4)), .content = bytes.subspan(head, size - head), .whole = bytes.first(size)};
  bytes = bytes.subspan(size);
  return box;
}

// What libjxl makes of a box with compressed content ("brob"), alone in a container: the box that was compressed.
// Nothing where it is damaged, or of more bytes than any metadata has.
std::optional<std::vector<uint8_t>> decompressed(Bytes brob) {
  constexpr std::string_view kBefore(
      "\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14"
      "ftypjxl \0\0\0\0jxl ",
      32);
  constexpr std::string_view kBehind(
      "\0\0\0\x08"
      "free",
      8);  // whose beginning tells that the one before it has ended
  constexpr std::size_t kFirst = std::size_t{1} << 16, kMost = std::size_t{1} << 24;
  std::vector<uint8_t> file(kBefore.begin(), kBefore.end());
  file.insert(file.end(), brob.begin(), brob.end());
  file.insert(file.end(), kBehind.begin(), kBehind.end());
  const JxlDecoderPointer decoder = start_jxl_decoder(file, JXL_DEC_BOX);
  JxlDecoderCloseInput(decoder.get());
  if (JxlDecoderSetDecompressBoxes(decoder.get(), JXL_TRUE) != JXL_DEC_SUCCESS) return {};
  std::vector<uint8_t> content;
  bool is_open = false;  // the box, whose content is being written
  while (true) {
    const JxlDecoderStatus status = JxlDecoderProcessInput(decoder.get());
    if (status != JXL_DEC_BOX && status != JXL_DEC_BOX_NEED_MORE_OUTPUT) return {};
    std::size_t used = 0;
    if (status == JXL_DEC_BOX) {
      JxlBoxType type{};
      if (JxlDecoderGetBoxType(decoder.get(), type, JXL_FALSE) != JXL_DEC_SUCCESS) return {};
      if (is_open) break;
      is_open = std::string_view(type, sizeof type) == kCompressed;
      if (!is_open) continue;
    } else {
      used = content.size() - JxlDecoderReleaseBoxBuffer(decoder.get());
    }
    if (content.size() >= kMost) return {};
    content.resize(std::max(kFirst, 2 * content.size()));
    if (JxlDecoderSetBoxBuffer(decoder.get(), content.data() + used, content.size() - used) != JXL_DEC_SUCCESS)
      return {};
  }
  content.resize(content.size() - JxlDecoderReleaseBoxBuffer(decoder.get()));
  return content;
}

void read_texts(std::string_view xml, Metadata& metadata) {
  while (true) {
    const std::size_t begin = xml.find(kItemBegin);
    if (begin == std::string_view::npos) return;
    xml.remove_prefix(begin + kItemBegin.size());
    const std::size_t between = xml.find(kBetween), end = xml.find(kItemEnd);
    if (end == std::string_view::npos || between > end) return;
    const std::size_t text = between + kBetween.size();
    std::string keyword = unescaped(xml.substr(0, between));
    // PNG, 11.3.4.2.
    constexpr std::size_t kLongest = 79;
    if (!keyword.empty() && keyword.size() <= kLongest) {
      metadata.text.emplace_back(std::move(keyword), unescaped(xml.substr(text, end - text)));
    }
    xml.remove_prefix(end + kItemEnd.size());
  }
}

void read_xml(Bytes content, Metadata& metadata) {
  const std::string_view xml = text_in(content);
  const bool has_xmp = std::any_of(metadata.text.begin(), metadata.text.end(),
                                   [](const auto& entry) { return entry.first == kXmpKeyword; });
  if (!is_utf8(xml) || xml.find('\0') != std::string_view::npos) return;
  if (xml.find(kNamespace) != std::string_view::npos) {
    read_texts(xml, metadata);
  } else if (!has_xmp) {
    metadata.text.emplace_back(kXmpKeyword, xml);
  }
}

void read_exif(Bytes content, Metadata& metadata) {
  if (content.size() < kExifOffset) return;
  const std::size_t offset = big_endian(content.first(kExifOffset));
  if (offset > content.size() - kExifOffset) return;
  const Bytes tiff = content.subspan(kExifOffset + offset);
  std::vector<uint8_t> exif(tiff.begin(), tiff.end());
  if (is_exif(exif)) metadata.exif = std::move(exif);
}

void read_box(std::string_view type, Bytes content, Metadata& metadata) {
  if (type == kXmlType) read_xml(content, metadata);
  if (type == kExifType) read_exif(content, metadata);
}

}  // namespace

std::vector<JxlBox> metadata_boxes(const Metadata& metadata) {
  std::vector<JxlBox> boxes;
  const auto add_xml = [&](std::string_view xml) {
    boxes.push_back({.type = std::string(kXmlType), .content = std::vector<uint8_t>(xml.begin(), xml.end())});
  };
  if (!metadata.exif.empty()) {
    JxlBox& exif =
        boxes.emplace_back(JxlBox{.type = std::string(kExifType), .content = std::vector<uint8_t>(kExifOffset)});
    exif.content.insert(exif.content.end(), metadata.exif.begin(), metadata.exif.end());
  }
  std::string texts;
  for (const auto& [keyword, text] : metadata.text) {
    if (keyword == kXmpKeyword) {
      add_xml(text);  // the first XMP is what readers take
    } else if (keyword != kIptcKeyword) {
      texts +=
          fmt::format("{}{}{}{}{}", kItemBegin, escaped(as_utf8(keyword)), kBetween, escaped(as_utf8(text)), kItemEnd);
    }
  }
  if (!texts.empty()) add_xml(fmt::format("{}{}{}", kPacketBegin, texts, kPacketEnd));
  return boxes;
}

Metadata read_metadata_boxes(Bytes bytes, std::vector<std::string>& warnings) {
  Metadata metadata;
  while (const std::optional<FoundBox> box = take_box(bytes)) {
    if (box->type != kCompressed) {
      read_box(box->type, box->content, metadata);
      continue;
    }
    // The content is another box's type, and its content compressed (ISO/IEC 18181-2, 9.9).
    const std::string_view type = text_in(box->content.first(std::min<std::size_t>(4, box->content.size())));
    if (type != kExifType && type != kXmlType) continue;
    if (const std::optional<std::vector<uint8_t>> content = decompressed(box->whole)) {
      read_box(type, *content, metadata);
    } else {
      warnings.push_back(fmt::format("its compressed {} is damaged or too long, and is left out",
                                     type == kExifType ? "EXIF block" : "XMP"));
    }
  }
  return metadata;
}

}  // namespace hourglass::detail
