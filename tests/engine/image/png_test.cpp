#include "engine/image/png.h"

#include <png.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/read_image.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

std::vector<Bytes> make_rows(int width, int height, int bytes_per_pixel) {
  std::mt19937 random(3);
  std::vector<Bytes> rows(static_cast<std::size_t>(height), Bytes(static_cast<std::size_t>(width * bytes_per_pixel)));
  for (Bytes& row : rows)
    for (uint8_t& value : row) value = static_cast<uint8_t>(random());
  return rows;
}

// A small ICC profile that libpng accepts for RGB: a header of 128 bytes and a table of one tag. The tag holds noise,
// since libpng calls what compresses to less than 90 bytes "too short".
Bytes make_profile() {
  Bytes profile(244, 0);
  const auto put = [&](std::size_t at, const std::string& text) { std::copy(text.begin(), text.end(), &profile[at]); };
  profile[3] = 244;
  profile[8] = 2;
  put(12, "mntrRGB XYZ ");
  put(36, "acsp");
  const Bytes illuminant = {0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d};  // D50, ICC.1, 7.2.16
  std::copy(illuminant.begin(), illuminant.end(), &profile[68]);
  profile[131] = 1;  // one tag of 100 bytes at 144
  put(132, "priv");
  profile[139] = 144;
  profile[143] = 100;
  put(144, "data");
  const Bytes noise = make_rows(92, 1, 1)[0];
  std::copy(noise.begin(), noise.end(), &profile[152]);
  return profile;
}

}  // namespace

TEST_CASE("8 and 16 bits, gray and RGB, come back to the nearest code") {
  for (const auto& [width, height] : {std::pair{8, 8}, {9, 13}, {17, 31}, {1, 1}})
    for (const int channels : {1, 3})
      for (const int depth : {8, 16}) {
        Image image = make_picture(width, height, channels);
        for (float& value : image.pixels) value += 0.0007F;  // between the codes
        const DecodedImage decoded = decode_png(encode_png(image, {.bit_depth = depth}));
        CHECK(decoded.bit_depth == depth);
        CHECK(decoded.format == ImageFormat::png);
        CHECK(decoded.warnings.empty());
        CHECK(largest_difference(decoded.image, image) < 0.51 / (depth == 8 ? 255 : 65535));
        CHECK(encode_png(decoded.image, {.bit_depth = depth}) == encode_png(image, {.bit_depth = depth}));
      }
  Image wild(3, 1, 1);
  wild.pixels = {-1, 2, 0.5F};
  CHECK(decode_png(encode_png(wild)).image.pixels == std::vector<float>{0, 1, 128.0F / 255.0F});
}

TEST_CASE("16 bits keep both bytes in order") {
  const std::vector<Bytes> rows = {{0x12, 0x34, 0xff, 0xfe}};
  const Image image =
      decode_png(encode_raw_png(2, 1, rows, {.color_type = PNG_COLOR_TYPE_GRAY, .bit_depth = 16})).image;
  CHECK(image.pixels[0] == doctest::Approx(0x1234 / 65535.0));
  CHECK(image.pixels[1] == doctest::Approx(0xfffe / 65535.0));
}

TEST_CASE("palettes, few bits and interlacing") {
  const std::vector<Bytes> indices = {{0, 1, 2}, {2, 1, 0}};
  const RawPng palette{.color_type = PNG_COLOR_TYPE_PALETTE, .palette = {10, 20, 30, 40, 50, 60, 70, 80, 90}};
  const Image colors = decode_png(encode_raw_png(3, 2, indices, palette)).image;
  REQUIRE(colors.channels == 3);
  CHECK(to_byte(colors.at(0, 0, 1)) == 40);
  CHECK(to_byte(colors.at(1, 1, 0)) == 80);
  CHECK(to_byte(colors.at(2, 1, 2)) == 30);

  const std::vector<Bytes> bits = {{0b10100000}};
  const Image gray = decode_png(encode_raw_png(3, 1, bits, {.color_type = PNG_COLOR_TYPE_GRAY, .bit_depth = 1})).image;
  CHECK(gray.pixels == std::vector<float>{1, 0, 1});

  for (const int depth : {8, 16}) {
    const std::vector<Bytes> rows = make_rows(19, 23, 3 * depth / 8);
    const Bytes plain = encode_raw_png(19, 23, rows, {.bit_depth = depth});
    const Bytes interlaced = encode_raw_png(19, 23, rows, {.bit_depth = depth, .interlaced = true});
    CHECK(plain != interlaced);
    CHECK(largest_difference(decode_png(plain).image, decode_png(interlaced).image) == 0);
  }
}

TEST_CASE("an alpha channel must be opaque") {
  for (const int depth : {8, 16})
    for (const int color_type : {PNG_COLOR_TYPE_RGB_ALPHA, PNG_COLOR_TYPE_GRAY_ALPHA}) {
      const int samples = color_type == PNG_COLOR_TYPE_RGB_ALPHA ? 4 : 2, bytes = depth / 8;
      std::vector<Bytes> rows = make_rows(7, 5, samples * bytes);
      for (Bytes& row : rows)
        for (int x = 0; x < 7; ++x)
          for (int b = 0; b < bytes; ++b) row[static_cast<std::size_t>((x * samples + samples - 1) * bytes + b)] = 255;
      const RawPng options{.color_type = color_type, .bit_depth = depth};
      const Image image = decode_png(encode_raw_png(7, 5, rows, options)).image;
      CHECK(image.channels == samples - 1);
      const int high_byte = rows[4][static_cast<std::size_t>(6 * samples * bytes)];
      CHECK(std::abs(to_byte(image.at(0, 4, 6)) - high_byte) <= 1);
      rows[3][static_cast<std::size_t>((2 * samples + samples - 1) * bytes + bytes - 1)] = 254;
      CHECK_CONTAINS(error_of([&] { decode_png(encode_raw_png(7, 5, rows, options)); }), "transparent at (2, 3)");
    }
  const RawPng palette{
      .color_type = PNG_COLOR_TYPE_PALETTE, .palette = {1, 2, 3, 4, 5, 6}, .palette_alpha = {255, 128}};
  CHECK(decode_png(encode_raw_png(2, 1, {{0, 0}}, palette)).image.channels == 3);
  CHECK_CONTAINS(error_of([&] { decode_png(encode_raw_png(2, 1, {{0, 1}}, palette)); }), "transparent at (1, 0)");
}

TEST_CASE("texts of a PNG are taken for ISO 8859-1 where they are no UTF-8") {
  Bytes bytes = encode_png(make_picture(4, 4, 1));
  // A chunk behind IHDR: length, name, content, CRC.
  Bytes chunk{'t', 'E', 'X', 't', 'C', 'o', 'm', 'm', 'e', 'n', 't', 0, 'g', 'r', 0xfc, 0xdf};
  uint32_t crc = 0xffffffff;
  for (const uint8_t byte : chunk) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1) * 0xedb88320;
  }
  for (int i = 3; i >= 0; --i) chunk.push_back(static_cast<uint8_t>(~crc >> 8 * i));
  chunk.insert(chunk.begin(), {0, 0, 0, 12});
  bytes.insert(bytes.begin() + 33, chunk.begin(), chunk.end());
  CHECK(find_text(bytes, "Comment") == "gr\xc3\xbc\xc3\x9f");
}

TEST_CASE("metadata and text survive, from a JPEG too") {
  Metadata metadata;
  metadata.exif = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0};
  metadata.icc_profile = make_profile();
  metadata.density = PixelDensity{.x = 11811, .y = 5906, .per_metre = true};
  const Bytes jpeg = encode_jpeg(make_picture(20, 20, 3), {.metadata = &metadata});
  Metadata carried = decode_jpeg(jpeg).metadata;
  carried.text = {{"Software", "hourglass"},
                  {"Comment",
                   "Gr\xc3\xbc\xc3\x9f"
                   "e"}};

  std::vector<std::string> warnings;
  const DecodedImage decoded =
      decode_png(encode_png(make_picture(20, 20, 3), {.metadata = &carried, .warnings = &warnings}));
  CHECK(warnings.empty());
  CHECK(decoded.warnings == std::vector<std::string>{});
  CHECK(decoded.metadata.exif == metadata.exif);
  CHECK(exif_orientation(decoded.metadata.exif) == 6);
  CHECK(decoded.metadata.icc_profile == metadata.icc_profile);
  CHECK(decoded.metadata.density == metadata.density);
  CHECK(decoded.metadata.text == carried.text);

  const Bytes png = encode_png(make_picture(8, 8, 3), {.metadata = &carried});
  CHECK(find_text(png, "Software") == "hourglass");
  CHECK(!find_text(png, "Author"));
  CHECK(!find_text(jpeg, "Software"));
  CHECK(!find_text(std::span(png).first(40), "Software"));

  metadata.density = PixelDensity{.x = 4, .y = 3, .per_metre = false};
  CHECK(decode_png(encode_png(make_picture(8, 8, 1), {.metadata = &metadata})).metadata.density == metadata.density);
}

TEST_CASE("a bad colour profile is left out with a warning") {
  Metadata metadata;
  metadata.icc_profile = Bytes(200, 17);
  std::vector<std::string> warnings;
  const Bytes bytes = encode_png(make_picture(8, 8, 3), {.metadata = &metadata, .warnings = &warnings});
  CHECK_FALSE(warnings.empty());
  CHECK(decode_png(bytes).metadata.icc_profile.empty());
  // An RGB profile does not fit a gray image.
  metadata.icc_profile = make_profile();
  warnings.clear();
  encode_png(make_picture(8, 8, 1), {.metadata = &metadata, .warnings = &warnings});
  CHECK_FALSE(warnings.empty());
}

TEST_CASE("the flawed sRGB profile of many programs is kept without a word") {
  const DecodedImage chelsea = decode_png(read_file(data_path("chelsea.png")));
  CHECK(chelsea.warnings.empty());
  REQUIRE(chelsea.metadata.icc_profile.size() > 2000);
  std::vector<std::string> warnings;
  const Bytes bytes = encode_png(chelsea.image, {.metadata = &chelsea.metadata, .warnings = &warnings});
  CHECK(warnings.empty());
  CHECK(decode_png(bytes).metadata.icc_profile == chelsea.metadata.icc_profile);
}

TEST_CASE("a chunk that says more bytes than the file has is refused, whatever it is") {
  const Bytes whole = encode_png(make_picture(4, 4, 1));
  constexpr std::size_t kBehindHeader = 8 + 25;
  for (const std::string type : {"eXIf", "tEXt", "iCCP", "zTXt", "iTXt", "abCd"}) {
    CAPTURE(type);
    for (const uint8_t size : {0x7f, 0x01}) {
      Bytes bytes = whole;
      const Bytes chunk{size, 0xff, 0xff, 0xf0, uint8_t(type[0]), uint8_t(type[1]), uint8_t(type[2]), uint8_t(type[3])};
      bytes.insert(bytes.begin() + kBehindHeader, chunk.begin(), chunk.end());
      CHECK_CONTAINS(error_of([&] { decode_png(bytes); }), "are left of the file");
      CHECK_CONTAINS(error_of([&] { read_png_metadata(bytes); }), "are left of the file");
    }
  }
  // The pixels need not be there for what stands before them.
  const Bytes beginning(whole.begin(), whole.begin() + kBehindHeader + 20);
  CHECK(read_png_metadata(beginning).text.empty());
}

TEST_CASE("a truncated or damaged PNG is refused") {
  const Bytes whole = encode_png(make_picture(33, 21, 3));
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_THROWS_AS(decode_png(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))), Error);
  CHECK_CONTAINS(error_of([&] { decode_png(Bytes(whole.begin(), whole.begin() + 300)); }), "ends too early");

  std::mt19937 random(11);
  int refusals = 0;
  constexpr int kTrials = 1000;
  for (int trial = 0; trial < kTrials; ++trial) {
    Bytes damaged = whole;
    damaged[random() % damaged.size()] ^= static_cast<uint8_t>(1 + random() % 255);
    try {
      const DecodedImage decoded = decode_png(damaged);
      CHECK(decoded.image.width == 33);
    } catch (const Error&) {
      ++refusals;
    }
  }
  CHECK(refusals > kTrials * 9 / 10);  // nearly all bytes stand under a checksum
}

TEST_CASE("a size that the file cannot hold is refused before memory is taken") {
  const auto claim = [](uint32_t width, uint32_t height) {
    Bytes bytes = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13};
    Bytes header = {'I', 'H', 'D', 'R'};
    for (const uint32_t value : {width, height})
      for (int shift = 24; shift >= 0; shift -= 8) header.push_back(static_cast<uint8_t>(value >> shift));
    header.insert(header.end(), {8, PNG_COLOR_TYPE_RGB, 0, 0, 0});
    uint32_t crc = 0xffffffff;
    for (const uint8_t byte : header) {
      crc ^= byte;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0U);
    }
    bytes.insert(bytes.end(), header.begin(), header.end());
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<uint8_t>(~crc >> shift));
    bytes.insert(bytes.end(), {0, 0, 0, 0, 'I', 'D', 'A', 'T', 0x35, 0xaf, 0x06, 0x1e});
    return bytes;
  };
  CHECK_CONTAINS(error_of([&] { decode_png(claim(100000, 100000)); }), "100000x100000 pixels, more than");
  CHECK_CONTAINS(error_of([&] { decode_png(claim(16000, 16000)); }), "cannot hold 16000x16000 pixels");
}

TEST_CASE("what PNG cannot hold is refused") {
  CHECK_THROWS_AS(encode_png(Image(0, 5, 1)), Error);
  CHECK_CONTAINS(error_of([] { encode_png(Image(8, 8, 2)); }), "1 or 3 channels, got 2");
  CHECK_CONTAINS(error_of([] { encode_png(Image(8, 8, 1), {.bit_depth = 12}); }), "8 or 16, got 12");
  Metadata metadata;
  metadata.text = {{std::string(80, 'k'), "text"}};
  CHECK_CONTAINS(error_of([&] { encode_png(Image(8, 8, 1), {.metadata = &metadata}); }), "1 to 79 characters");
}

}  // namespace hourglass::test
