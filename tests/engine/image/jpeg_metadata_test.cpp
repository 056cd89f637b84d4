// What a JPEG says beside its pixels, as far as our own encoder does not write it.
#include <fmt/core.h>

#include <string>

#include "engine/image/jpeg.h"
#include "engine/image/png.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

using namespace std::string_literals;

constexpr uint8_t kApp1 = 0xe1, kApp13 = 0xed, kComment = 0xfe;

const Bytes& plain() {
  static const Bytes bytes = encode_jpeg(make_picture(16, 16, 3), {});
  return bytes;
}

std::string text_of(const Metadata& metadata, const std::string& keyword) {
  std::string found;
  for (const auto& [key, text] : metadata.text)
    if (key == keyword) found += text + "|";
  return found;
}

// A PNG keeps all of the JPEG's text.
void check_survives(const DecodedImage& decoded) {
  const Bytes png = encode_png(decoded.image, {.metadata = &decoded.metadata});
  CHECK(decode_png(png).metadata.text == decoded.metadata.text);
}

bool holds(const Bytes& bytes, const std::string& text) {
  return std::string(bytes.begin(), bytes.end()).find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("EXIF over several segments is joined") {
  Bytes exif = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0};
  for (int i = 0; i < 100'000; ++i) exif.push_back(static_cast<uint8_t>(i % 253));
  const auto part = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    Bytes bytes = {'E', 'x', 'i', 'f', 0, 0};
    bytes.insert(bytes.end(), exif.begin() + begin, exif.begin() + end);
    return bytes;
  };
  const auto size = static_cast<std::ptrdiff_t>(exif.size());
  const Bytes tail = with_segment(plain(), kApp1, part(65527, size)), whole = with_segment(tail, kApp1, part(0, 65527));
  const DecodedImage decoded = decode_jpeg(whole);
  CHECK(decoded.metadata.exif == exif);
  CHECK(decoded.warnings.empty());
  CHECK(decode_png(encode_png(decoded.image, {.metadata = &decoded.metadata})).metadata.exif == exif);
  // A second block is not a part of the first.
  CHECK(decode_jpeg(with_segment(whole, kApp1, part(0, 26))).metadata.exif.size() == exif.size() - 65527 + 26);
  const Bytes twice = with_segment(with_segment(plain(), kApp1, part(0, 40)), kApp1, part(0, 26));
  CHECK(decode_jpeg(twice).metadata.exif.size() == 26);
}

TEST_CASE("EXIF that is no TIFF is left out with a warning") {
  for (const std::string& content : {"Exif\0\0garbage!!"s, "Exif\0\0II*\0\xff\0\0\0\0\0"s, "Exif\0\0II*\0\x08"s}) {
    const DecodedImage decoded = decode_jpeg(with_segment(plain(), kApp1, content));
    CHECK(decoded.metadata.exif.empty());
    REQUIRE(decoded.warnings.size() == 1);
    CHECK_CONTAINS(decoded.warnings[0], "EXIF block is damaged");
  }
}

TEST_CASE("XMP becomes PNG's XMP") {
  const std::string mark = "http://ns.adobe.com/xap/1.0/\0"s, packet = "<x:xmpmeta>(c) me</x:xmpmeta>";
  const DecodedImage decoded = decode_jpeg(with_segment(plain(), kApp1, mark + packet));
  CHECK(decoded.warnings.empty());
  CHECK(text_of(decoded.metadata, "XML:com.adobe.xmp") == packet + "|");
  check_survives(decoded);
  // Others look for it in an iTXt chunk, ASCII or not.
  CHECK(holds(encode_png(decoded.image, {.metadata = &decoded.metadata}), "iTXtXML:com.adobe.xmp"));
  const DecodedImage broken = decode_jpeg(with_segment(plain(), kApp1, mark + "\xff\xfe<\0"s));
  CHECK(broken.metadata.text.empty());
  CHECK_CONTAINS(broken.warnings.at(0), "XMP is not in UTF-8");
  const Bytes extended = with_segment(plain(), kApp1, "http://ns.adobe.com/xmp/extension/\0guid, lengths, text"s);
  CHECK_CONTAINS(decode_jpeg(extended).warnings.at(0), "what goes beyond is left out");
}

TEST_CASE("comments become PNG's Comment, in UTF-8") {
  Bytes jpeg = with_segment(plain(), kComment, "second\0"s);
  jpeg = with_segment(jpeg, kComment,
                      "Gr\xc3\xbc\xc3\x9f"s
                      "e");
  jpeg = with_segment(jpeg, kComment,
                      "Gr\xfc\xdf"s
                      "e");  // ISO 8859-1
  const DecodedImage decoded = decode_jpeg(with_segment(jpeg, kComment, ""s));
  CHECK(text_of(decoded.metadata, "Comment") ==
        "Gr\xc3\xbc\xc3\x9f"
        "e|Gr\xc3\xbc\xc3\x9f"
        "e|second|");
  CHECK(decoded.warnings.empty());
  check_survives(decoded);
}

TEST_CASE("what a comment says of how it was made stays that, in whatever encoding it is") {
  const DecodedImage decoded = decode_jpeg(with_segment(plain(), kComment, "hourglass\nrestore M\xfcller.jpg"s));
  CHECK(text_of(decoded.metadata, kRecordKeyword) == "restore M\xc3\xbcller.jpg|");
  check_survives(decoded);
  // What is written is read as the same.
  const std::vector<uint8_t> again = encode_jpeg(decoded.image, {.metadata = &decoded.metadata});
  CHECK(decode_jpeg(again).metadata.text == decoded.metadata.text);
}

TEST_CASE("of Photoshop's block stays whose the photograph is") {
  const std::string mark = "Photoshop 3.0\0"s, iptc = "8BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02t\0\x05(c)me"s;
  const std::string thumbnail =
                        "8BIM\x04\x0c\x03two\0\0\0\x03"
                        "abc\0"s,
                    url = "8BIM\x04\x0b\0\0\0\0\0\x05http:\0"s;
  const std::string hex = "3842494d040400000000000a1c027400052863296d65";
  DecodedImage decoded = decode_jpeg(with_segment(plain(), kApp13, mark + iptc));
  CHECK(decoded.warnings.empty());
  CHECK(text_of(decoded.metadata, "Raw profile type iptc") == "\niptc\n      22\n" + hex + "\n|");
  check_survives(decoded);
  decoded = decode_jpeg(with_segment(plain(), kApp13, mark + thumbnail + url));
  CHECK(decoded.warnings.empty());
  CHECK(text_of(decoded.metadata, "Raw profile type iptc") ==
        "\niptc\n      18\n3842494d040b000000000005687474703a00\n|");
  decoded = decode_jpeg(with_segment(plain(), kApp13, mark + thumbnail));
  CHECK(decoded.metadata.text.empty());
  // Cut off anywhere behind a resource's number: what is whole stays, the rest is named.
  for (std::size_t size = 7; size < iptc.size(); ++size) {
    CAPTURE(size);
    decoded = decode_jpeg(with_segment(plain(), kApp13, mark + url + iptc.substr(0, size)));
    CHECK_CONTAINS(decoded.warnings.at(0), "Photoshop block (IPTC) is damaged");
    CHECK_CONTAINS(text_of(decoded.metadata, "Raw profile type iptc"), "      18\n");
  }
}

TEST_CASE("IPTC that is longer than a segment comes through a JPEG whole; what can't is named") {
  Metadata metadata;
  const std::size_t size = 150000;
  std::string iptc = fmt::format("\niptc\n{:8}", size);
  for (std::size_t i = 0; i < size; ++i) {
    // One resource (8BIM, 0x0404, no name, its length) of numbers that don't repeat at a segment's length.
    const std::string head = "8BIM\x04\x04\0\0\0\x02\x49\xe4"s;
    const unsigned byte = i < head.size() ? static_cast<unsigned char>(head[i]) : i * i % 251;
    iptc += fmt::format("{}{:02x}", i % 36 == 0 ? "\n" : "", byte);
  }
  metadata.text = {{"Raw profile type iptc", iptc + "\n"}, {"Comment", "short"}};
  CHECK(lost_in_jpeg(metadata).empty());
  const DecodedImage decoded = decode_jpeg(encode_jpeg(make_picture(16, 16, 3), {.metadata = &metadata}));
  CHECK(decoded.warnings.empty());
  CHECK(decoded.metadata.text == metadata.text);

  metadata.text = {{kXmpKeyword, std::string(70000, 'x')}, {"Comment", std::string(65534, 'c')}, {"Comment", "kept"}};
  metadata.exif.assign(kMaxJpegExif + 1, 0);
  const std::vector<std::string> lost = lost_in_jpeg(metadata);
  REQUIRE(lost.size() == 3);
  CHECK_CONTAINS(lost[0], "EXIF block of 65528 bytes is too long");
  CHECK_CONTAINS(lost[1], "its XMP of 70000 bytes is too long for a JPEG and left out");
  CHECK_CONTAINS(lost[2], "its text 'Comment' of 65534 bytes");
  metadata.exif.clear();
  const DecodedImage rest = decode_jpeg(encode_jpeg(make_picture(16, 16, 3), {.metadata = &metadata}));
  CHECK(rest.metadata.text == std::vector<std::pair<std::string, std::string>>{{"Comment", "kept"}});
}

TEST_CASE("UTF-8") {
  for (const char* good : {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(is_utf8(good));
  for (const char* bad : {"\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
    CHECK_FALSE(is_utf8(bad));
}

}  // namespace hourglass::test
