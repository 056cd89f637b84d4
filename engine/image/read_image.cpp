#include "engine/image/read_image.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include "engine/image/big_endian.h"
#include "engine/image/digest.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/jxl.h"
#include "graph/error.h"

namespace hourglass {
namespace {

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  const char* name;
};

using std::string_view_literals::operator""sv;

constexpr auto kJpeg = "\xff\xd8\xff"sv;
constexpr auto kJxlContainer = "\0\0\0\x0cJXL \r\n\x87\n"sv;
constexpr auto kJxlCodestream = "\xff\x0a"sv;
constexpr auto kPng = "\x89PNG\r\n\x1a\n"sv;
constexpr Signature kOthers[] = {
    {8, "WEBP"sv, "WebP"},
    {0, "GIF8"sv, "GIF"},
    {0, "BM"sv, "BMP"},
    {0, "II*\0"sv, "TIFF or camera raw"},
    {0, "MM\0*"sv, "TIFF or camera raw"},
    {4, "ftypavif"sv, "AVIF"},
    {4, "ftyphei"sv, "HEIF"},
    {4, "ftypmif1"sv, "HEIF"},
    {0, "\0\0\0\x0cjP  "sv, "JPEG 2000"},
    {0, "%PDF"sv, "PDF"},
    {0, "P5"sv, "PGM"},
    {0, "P6"sv, "PPM"},
};

bool has(std::span<const uint8_t> bytes, std::size_t offset, std::string_view signature) {
  return bytes.size() >= offset + signature.size() &&
         std::equal(signature.begin(), signature.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

int64_t big_endian(const uint8_t* at, std::size_t count) {
  return static_cast<int64_t>(detail::big_endian({at, count}));
}

using Buffer = std::array<uint8_t, 32>;

bool read_at(std::ifstream& file, int64_t position, std::size_t count, Buffer& buffer) {
  file.seekg(position);
  file.read(reinterpret_cast<char*>(buffer.data()), static_cast<std::streamsize>(count));
  return static_cast<std::size_t>(file.gcount()) == count;
}

// From marker to marker, up to the frame header (ITU-T T.81, B.1.1.3 and B.2.2). Each is read from the file anew, and
// in a hostile one there may be a marker, or a byte that fills in, at every place: most photographs have less than 30.
void find_jpeg_size(std::ifstream& file, ImageHeader& header) {
  constexpr int kMostMarkers = 10000;
  Buffer b{};
  int64_t at = 2;
  for (int i = 0; i < kMostMarkers && read_at(file, at, 9, b) && b[0] == 0xFF; ++i) {
    const int marker = b[1];
    const bool is_fill = marker == 0xFF, is_alone = marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
    // DHT, JPG and DAC lie among the frame headers.
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      header.height = big_endian(&b[5], 2);
      header.width = big_endian(&b[7], 2);
      return;
    }
    at += is_fill ? 1 : is_alone ? 2 : 2 + big_endian(&b[2], 2);
  }
}

// Mostly the first bytes say it; where metadata stands before the pixels, further ones.
void find_jxl_size(const std::string& path, ImageHeader& header) {
  constexpr std::size_t kMostly = std::size_t{1} << 16;
  for (const std::size_t most : {kMostly, kMetadataWithin}) {
    const std::vector<uint8_t> bytes = read_beginning(path, most);
    const JxlSize size = read_jxl_size(bytes);
    header.width = size.width, header.height = size.height;
    if (size.width > 0 || bytes.size() < most) return;
  }
}

constexpr std::string_view kJpegEndings[] = {".jpg", ".jpeg", ".jpe", ".jfif"};
constexpr std::string_view kOtherEndings[] = {".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic",
                                              ".heif", ".jp2", ".pdf", ".pgm", ".ppm",  ".pnm",  ".tga"};

std::string ending_of(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return ending;
}

bool is_in(std::span<const std::string_view> endings, const std::string& ending) {
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

template <typename Function>
auto within(const std::string& path, const Function& function) {
  try {
    return function();
  } catch (const Error& error) {
    throw error.within(path == "-" ? "standard input" : path);
  }
}

}  // namespace

ImageFormat image_format(std::span<const uint8_t> bytes) {
  if (has(bytes, 0, kJpeg)) return ImageFormat::jpeg;
  if (has(bytes, 0, kPng)) return ImageFormat::png;
  if (has(bytes, 0, kJxlContainer) || has(bytes, 0, kJxlCodestream)) return ImageFormat::jxl;
  for (const Signature& other : kOthers)
    if (has(bytes, other.offset, other.bytes))
      fail("is a {} file, and only JPEG, PNG and JPEG XL can be read; convert it first", other.name);
  fail("is neither a JPEG nor a PNG file, nor a JPEG XL");
}

std::optional<ImageHeader> find_image_header(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  constexpr std::size_t kPngHeader = 24;  // the signature and the first half of IHDR
  Buffer b{};
  const bool is_short = !read_at(file, 0, kPngHeader, b);
  // The pixels of a small JPEG XL of one colour take fewer.
  if (is_short && !has(b, 0, kJxlCodestream)) return {};
  ImageHeader header;
  if (has(b, 0, kJpeg)) {
    find_jpeg_size(file, header);
  } else if (has(b, 0, kPng)) {
    header = {.format = ImageFormat::png, .width = big_endian(&b[16], 4), .height = big_endian(&b[20], 4)};
  } else if (has(b, 0, kJxlContainer) || has(b, 0, kJxlCodestream)) {
    header.format = ImageFormat::jxl;
    find_jxl_size(path, header);
  } else {
    return {};
  }
  if (header.width > kMaxPixels || header.height > kMaxPixels / std::max<int64_t>(header.width, 1)) {
    header.width = header.height = 0;
  }
  return header;
}

namespace {

Metadata read_metadata(std::span<const uint8_t> bytes) {
  switch (image_format(bytes)) {
    case ImageFormat::jpeg: return read_jpeg_metadata(bytes);
    case ImageFormat::png: return read_png_metadata(bytes);
    case ImageFormat::jxl: return read_jxl_metadata(bytes);
  }
  return {};
}

DecodedImage decode(std::span<const uint8_t> bytes, std::size_t memory_limit) {
  switch (image_format(bytes)) {
    case ImageFormat::jpeg: return decode_jpeg(bytes, memory_limit);
    case ImageFormat::png: return decode_png(bytes, memory_limit);
    case ImageFormat::jxl: return decode_jxl(bytes, memory_limit);
  }
  return {};
}

}  // namespace

std::optional<std::string> find_text(std::span<const uint8_t> bytes, std::string_view keyword) {
  try {
    for (auto& [name, text] : read_metadata(bytes).text) {
      if (name == keyword) return std::move(text);
    }
  } catch (const Error&) {  // it is no image, then
  }
  return {};
}

DecodedImage decode_image(std::span<const uint8_t> bytes, const std::string& path, std::size_t memory_limit) {
  return within(path, [&] {
    DecodedImage decoded = decode(bytes, memory_limit);
    decoded.sha256 = sha256_hex(bytes);
    return decoded;
  });
}

DecodedImage read_image(const std::string& path) { return decode_image(read_file(path), path); }

std::string ending_of(ImageFormat format) {
  return format == ImageFormat::jpeg ? ".jpg" : format == ImageFormat::jxl ? ".jxl" : ".png";
}

std::string name_of(ImageFormat format) {
  return format == ImageFormat::jpeg ? "JPEG" : format == ImageFormat::jxl ? "JPEG XL" : "PNG";
}

ImageFormat format_to_write(const std::string& path) {
  const std::string ending = ending_of(path);
  if (is_in(kJpegEndings, ending)) return ImageFormat::jpeg;
  if (ending == ending_of(ImageFormat::jxl)) return ImageFormat::jxl;
  if (is_in(kOtherEndings, ending)) {
    const auto named = [&](const char* other) { return std::filesystem::path(path).replace_extension(other).string(); };
    fail("{}: what is written is a PNG, a JPEG or a JPEG XL: name it {}, {} or {}", path, named(".png"), named(".jpg"),
         named(".jxl"));
  }
  return ImageFormat::png;
}

void check_ending(const std::string& path, ImageFormat written) {
  const std::string ending = ending_of(path);
  const bool is_known =
      is_in(kOtherEndings, ending) || is_in(kJpegEndings, ending) || ending == ".png" || ending == ".jxl";
  if (!is_known || (!is_in(kOtherEndings, ending) && format_to_write(path) == written)) return;
  std::filesystem::path better = path;
  fail("{}: what is written is a {}: name it {}", path, name_of(written),
       better.replace_extension(ending_of(written)).string());
}

void write_png(const std::string& path, const Image& image, const PngOptions& options, bool overwrite) {
  const std::vector<uint8_t> bytes = within(path, [&] { return encode_png(image, options); });
  write_file_atomically(path, bytes, overwrite);
}

}  // namespace hourglass
