// Files that are odd and complete all the same: read, with a warning.
#include <algorithm>

#include "engine/image/file.h"
#include "engine/image/read_image.h"

#include "tests/engine/image/fixtures.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

constexpr JpegOptions kKinds[] = {{}, {.progressive = true}, {.restart_interval = 2}};

// Both ways of reading give what `whole` gives, and one warning that holds the text.
void check_same(const Bytes& bytes, const Bytes& whole, const std::string& warning) {
  const DecodedImage decoded = decode_jpeg(bytes);
  CHECK(decoded.image.pixels == decode_jpeg(whole).image.pixels);
  REQUIRE(decoded.warnings.size() == 1);
  CHECK_CONTAINS(decoded.warnings[0], warning);
  const JpegCoefficients said = read_jpeg_coefficients(bytes), expected = read_jpeg_coefficients(whole);
  for (std::size_t c = 0; c < expected.components.size(); ++c)
    CHECK(said.components.at(c).coefficients == expected.components[c].coefficients);
  CHECK(said.warnings == decoded.warnings);
}

// Where the restart markers are.
std::vector<std::size_t> restarts_of(const Bytes& bytes) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i)
    if (bytes[i] == 0xff && bytes[i + 1] >= 0xd0 && bytes[i + 1] <= 0xd7) places.push_back(i);
  return places;
}

}  // namespace

TEST_CASE("the end marker is missing, or something stands in its place") {
  for (const JpegOptions& options : kKinds) {
    const Bytes whole = encode_jpeg(make_picture(40, 33, 3), options);
    for (const std::size_t missing : {1, 2})
      check_same(Bytes(whole.begin(), whole.end() - missing), whole, "end marker");
    for (const std::size_t zeros : {2, 3, 5000}) {
      Bytes bytes(whole.begin(), whole.end() - 2);
      bytes.resize(bytes.size() + zeros);
      check_same(bytes, whole, "end marker is missing");
    }
    Bytes padded = whole;
    padded.resize(padded.size() + 5000);
    CHECK(decode_jpeg(padded).warnings.empty());
  }
}

TEST_CASE("restart markers with wrong numbers") {
  const Bytes whole = encode_jpeg(make_picture(100, 60, 3), {.restart_interval = 2});
  const std::vector<std::size_t> restarts = restarts_of(whole);
  REQUIRE(restarts.size() > 10);
  for (const uint8_t number : {0xd0, 0xd1, 0xd3, 0xd4, 0xd6}) {
    Bytes bytes = whole;
    bytes[restarts[2] + 1] = number;
    check_same(bytes, whole, "1 of its restart markers has a wrong number");
  }
  Bytes shifted = whole;
  for (const std::size_t at : restarts) shifted[at + 1] = static_cast<uint8_t>(0xd0 | ((shifted[at + 1] + 1) & 7));
  check_same(shifted, whole, std::to_string(restarts.size()) + " of its restart markers have a wrong number");

  // A segment less, or more, is another matter.
  const auto place = [&](std::size_t index) { return whole.begin() + static_cast<std::ptrdiff_t>(restarts[index]); };
  Bytes less(whole.begin(), place(2));
  less.insert(less.end(), place(3), whole.end());
  CHECK_CONTAINS(error_of([&] { decode_jpeg(less); }), "truncated or damaged");
  CHECK_CONTAINS(error_of([&] { read_jpeg_coefficients(less); }), "truncated or damaged");
  Bytes more(whole.begin(), place(3));
  more.insert(more.end(), place(2), whole.end());
  CHECK_CONTAINS(error_of([&] { decode_jpeg(more); }), "truncated or damaged");
  CHECK_CONTAINS(error_of([&] { read_jpeg_coefficients(more); }), "truncated or damaged");
}

TEST_CASE("zeros in the quantization tables") {
  const Bytes whole = encode_jpeg(make_picture(40, 33, 1), {});
  Bytes bytes = whole;
  std::size_t table = 0;
  while (!(bytes[table] == 0xff && bytes[table + 1] == 0xdb)) ++table;
  CHECK(decode_jpeg(bytes).warnings.empty());
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(table) + 5 + 60, 4, uint8_t{0});
  REQUIRE(decode_jpeg(bytes).warnings.size() == 1);
  CHECK_CONTAINS(decode_jpeg(bytes).warnings[0], "its quantization tables hold 4 zeros");
  CHECK(read_jpeg_coefficients(bytes).warnings == decode_jpeg(bytes).warnings);
}

TEST_CASE("a file's first bytes say its format and size") {
  const TemporaryFolder folder;
  const std::string path = folder / "image";
  const auto header_of = [&](const Bytes& bytes) {
    write_file_atomically(path, bytes, true);
    return find_image_header(path);
  };
  const Image picture = make_picture(37, 21, 3);
  for (const bool progressive : {false, true}) {
    const Bytes jpeg = encode_jpeg(picture, {.progressive = progressive});
    const Bytes with_much_before = with_segment(with_segment(jpeg, 0xE1, Bytes(60000)), 0xFE, "a comment");
    for (const Bytes& bytes : {jpeg, with_much_before}) {
      const auto header = header_of(bytes);
      REQUIRE(header);
      CHECK(header->format == ImageFormat::jpeg);
      CHECK(header->width == 37);
      CHECK(header->height == 21);
    }
    const auto cut = header_of(Bytes(with_much_before.begin(), with_much_before.begin() + 1000));
    REQUIRE(cut);
    CHECK(cut->width == 0);
    // Markers may have bytes that fill in before them; so many only delay who reads them one by one.
    for (const auto& [count, width] : {std::pair{9000, 37}, {20000, 0}}) {
      Bytes filled = jpeg;
      filled.insert(filled.begin() + 2, static_cast<std::size_t>(count), 0xff);
      const auto found = header_of(filled);
      REQUIRE(found);
      CHECK(found->width == width);
    }
  }
  const auto png = header_of(encode_png(picture));
  REQUIRE(png);
  CHECK(png->format == ImageFormat::png);
  CHECK(png->width == 37);
  CHECK(png->height == 21);
  CHECK(!header_of(Bytes(100, 7)));
  CHECK(!header_of({0xFF, 0xD8}));
  CHECK(!find_image_header(folder / "none"));
  CHECK(!find_image_header(folder.string()));
}

}  // namespace hourglass::test
