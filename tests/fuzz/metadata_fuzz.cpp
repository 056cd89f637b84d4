// What a photograph's file says beside its pixels, without any pixels: EXIF, colour profiles, texts. The first byte
// says what the others are: blocks, or pieces (a kind, a length, so many bytes) that a file's header is made of:
// segments of a JPEG, chunks of a PNG, boxes of a JPEG XL, each as it would be read. What is read is written as a
// JPEG's or a JPEG XL's twice: the second time all of it comes back.
#include <zlib.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "engine/image/jpeg.h"
#include "engine/image/jpeg_metadata.h"
#include "engine/image/jxl_metadata.h"
#include "engine/image/orientation.h"
#include "engine/image/png.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace hourglass;
using fuzz::expect;
using std::string_view_literals::operator""sv;

using File = std::vector<uint8_t>;

// Takes that many bytes off the others, or all of them.
fuzz::Bytes take(fuzz::Bytes& bytes, std::size_t count) {
  const fuzz::Bytes taken = bytes.first(std::min(count, bytes.size()));
  bytes = bytes.subspan(taken.size());
  return taken;
}

uint8_t take_byte(fuzz::Bytes& bytes) {
  const fuzz::Bytes taken = take(bytes, 1);
  return taken.empty() ? 0 : taken[0];
}

template <typename Part>
void add(File& file, const Part& part) {
  const std::size_t at = file.size();
  file.resize(at + part.size());
  std::copy(part.begin(), part.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
}

void add_number(File& file, std::size_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) file.push_back(static_cast<uint8_t>(value >> shift));
}

// Pieces: add_piece(file, kind, content) for each.
template <typename AddPiece>
void add_pieces(File& file, fuzz::Bytes bytes, const AddPiece& add_piece) {
  while (!bytes.empty()) {
    const uint8_t kind = take_byte(bytes), length = take_byte(bytes);
    add_piece(file, kind, take(bytes, length));
  }
}

// The header of a gray JPEG of 8x8 pixels, up to its only scan, with these segments.
template <typename AddSegments>
File jpeg_with(const AddSegments& add_segments) {
  File file;
  add(file, "\xff\xd8"sv);
  add_segments(file);
  add(file, "\xff\xc0\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0"sv);
  return file;
}

template <typename Content>
void add_segment(File& file, int marker, std::string_view mark, const Content& content) {
  add_number(file, 0xff00U | static_cast<unsigned>(marker), 2);
  add_number(file, 2 + mark.size() + content.size(), 2);
  add(file, mark);
  add(file, content);
}

void add_segment_of_kind(File& file, uint8_t kind, fuzz::Bytes content) {
  struct Kind {
    int marker;
    std::string_view mark;
  };
  constexpr Kind kKinds[] = {{0xe1, "Exif\0\0"sv},
                             {0xe1, "http://ns.adobe.com/xap/1.0/\0"sv},
                             {0xe1, "http://ns.adobe.com/xmp/extension/\0"sv},
                             {0xe2, "ICC_PROFILE\0"sv},
                             {0xed, "Photoshop 3.0\0"sv},
                             {0xed, "Photoshop 3.0\0008BIM\x04\x04\0\0\0\0"sv},
                             {0xfe, ""sv},
                             {0xfe, "hourglass\n"sv},
                             {0xe0, "JFIF\0\x01\x01"sv},
                             {0xe1, ""sv}};
  const Kind& chosen = kKinds[kind % std::size(kKinds)];
  add_segment(file, chosen.marker, chosen.mark, content);
}

File jpeg_saying(const Metadata& metadata) {
  return jpeg_with([&](File& file) {
    if (!metadata.exif.empty()) add_segment(file, 0xe1, "Exif\0\0"sv, metadata.exif);
    for (const detail::JpegSegment& segment : detail::text_segments(metadata)) {
      add_segment(file, segment.marker, "", segment.content);
    }
  });
}

// zlib's format with nothing compressed: RFC 1950, RFC 1951 3.2.4.
File stored(fuzz::Bytes content) {
  File file;
  add(file, "\x78\x01\x01"sv);
  for (const std::size_t word : {content.size(), ~content.size()}) {
    file.push_back(static_cast<uint8_t>(word));
    file.push_back(static_cast<uint8_t>(word >> 8));
  }
  add(file, content);
  add_number(file, adler32_z(adler32_z(0, nullptr, 0), content.data(), content.size()), 4);
  return file;
}

void add_chunk(File& file, std::string_view type, const File& content) {
  add_number(file, content.size(), 4);
  const std::size_t begin = file.size();
  add(file, type);
  add(file, content);
  add_number(file, crc32_z(crc32_z(0, nullptr, 0), file.data() + begin, file.size() - begin), 4);
}

// In chunks with compressed parts the first bytes, up to the second zero, stand before those.
void add_chunk_of_kind(File& file, uint8_t kind, fuzz::Bytes content) {
  constexpr std::string_view kTypes[] = {"eXIf", "tEXt", "zTXt", "iTXt", "iCCP", "pHYs", "cHRM", "gAMA", "tIME"};
  const std::string_view type = kTypes[kind % std::size(kTypes)];
  File whole;
  if (type == "zTXt" || type == "iCCP") {
    const auto name_end = std::find(content.begin(), content.end(), uint8_t{0});
    add(whole, take(content, static_cast<std::size_t>(name_end - content.begin())));
    take(content, 1);
    add(whole, "\0\0"sv);
    add(whole, stored(content));
  } else {
    add(whole, content);
  }
  add_chunk(file, type, whole);
}

// A PNG of 1x1 gray pixel, up to the beginning of its data.
File png_of(fuzz::Bytes pieces) {
  File file;
  add(file, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55"sv);
  add_pieces(file, pieces, add_chunk_of_kind);
  add(file, "\0\0\0\x0aIDAT"sv);
  return file;
}

template <typename Content>
void add_box(File& file, std::string_view type, const Content& content) {
  add_number(file, 8 + content.size(), 4);
  add(file, type);
  add(file, content);
}

// The last kind is a box's head and content as they are.
void add_box_of_kind(File& file, uint8_t kind, fuzz::Bytes content) {
  constexpr std::string_view kTypes[] = {"Exif", "xml ", "brob", "jumb"};
  const std::size_t chosen = kind % (std::size(kTypes) + 1);
  if (chosen == std::size(kTypes)) return add(file, content);
  add_box(file, kTypes[chosen], content);
}

File boxes_saying(const Metadata& metadata) {
  File file;
  for (const detail::JxlBox& box : detail::metadata_boxes(metadata)) add_box(file, box.type, box.content);
  return file;
}

// What is neither: blocks of EXIF of two files, and a colour profile or a text.
void check_blocks(fuzz::Bytes bytes) {
  const uint8_t first = take_byte(bytes), second = take_byte(bytes);
  Metadata one, other;
  add(one.exif, take(bytes, first));
  add(other.exif, take(bytes, second));
  Image image(3, 2, 1);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<float>(i);
  const Image given = image;
  for (const std::vector<uint8_t>& exif : {one.exif, other.exif}) {
    const int orientation = exif_orientation(exif);
    expect(orientation >= 1 && orientation <= 8, "an orientation is 1 to 8");
    const Image seen = upright(image, orientation);
    expect(std::is_permutation(seen.pixels.begin(), seen.pixels.end(), image.pixels.begin()), "turning moves pixels");
  }
  const bool turned = turn_like(image, one, other);
  expect(turned == (exif_orientation(one.exif) != exif_orientation(other.exif)), "what lies otherwise is turned");
  turn_like(image, other, one);
  expect(image.width == given.width && image.pixels == given.pixels, "turning forth and back changes nothing");
  const std::vector<uint8_t> profile(bytes.begin(), bytes.end());
  expect(!icc_complaint(profile, 1).empty() || !icc_complaint(profile, 3).empty(), "a profile is for gray or for RGB");
  const std::string text(bytes.begin(), bytes.end()), made = as_utf8(text);
  expect(is_utf8(made) && as_utf8(made) == made, "as_utf8() makes UTF-8");
  expect(!is_utf8(text) || made == text, "UTF-8 stays");
}

Metadata read_jpeg(const File& file) { return read_jpeg_metadata(file); }

Metadata read_boxes(const File& file) {
  std::vector<std::string> warnings;
  return detail::read_metadata_boxes(file, warnings);
}

// What is written is read as something that comes back.
template <typename Write, typename Read>
void check_written(const Metadata& metadata, const Write& write, const Read& read) {
  const Metadata once = read(write(metadata));
  expect(!is_exif(metadata.exif) || once.exif == metadata.exif, "the EXIF block comes back");
  const Metadata twice = read(write(once));
  expect(twice.exif == once.exif, "the EXIF block comes back once more");
  expect(twice.text == once.text, "the texts come back");
}

void check_metadata(const Metadata& metadata, bool as_jpeg) {
  for (const auto& [keyword, text] : metadata.text) expect(is_utf8(text), "texts are UTF-8");
  lost_in_jpeg(metadata);
  lost_in_png(metadata, 3);
  if (as_jpeg) {
    check_written(metadata, jpeg_saying, read_jpeg);
  } else {
    check_written(metadata, boxes_saying, read_boxes);
  }
}

Metadata read_pieces(uint8_t format, fuzz::Bytes pieces) {
  switch (format) {
    case 0: return read_jpeg(jpeg_with([&](File& file) { add_pieces(file, pieces, add_segment_of_kind); }));
    case 1: return read_png_metadata(png_of(pieces));
    default: {
      File file;
      add_pieces(file, pieces, add_box_of_kind);
      return read_boxes(file);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  return fuzz::refusing({data, size}, [](fuzz::Bytes bytes) {
    constexpr uint8_t kFormats = 3;
    const uint8_t first = take_byte(bytes), format = first % (kFormats + 1);
    if (format == kFormats) return check_blocks(bytes);
    check_metadata(read_pieces(format, bytes), first / (kFormats + 1) % 2 == 0);
  });
}
