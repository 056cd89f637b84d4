#include "engine/image/jxl.h"

#include <algorithm>
#include <fstream>
#include <random>

#include "engine/image/file.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "tests/engine/image/fixtures.h"
#include "tests/engine/image/foreign_jxl.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

constexpr std::string_view kJxlContainerHead(
    "\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14"
    "ftypjxl \0\0\0\0jxl ",
    32);

// A bare codestream's header (ISO/IEC 18181-1, annex D): of an image in sRGB with so many alpha channels, and no
// pixels.
Bytes header_alone(uint32_t side, uint32_t extra_channels) {
  Bytes bytes{0xff, 0x0a};
  std::size_t bit = 16;
  const auto put = [&](uint32_t value, int count) {
    for (int i = 0; i < count; ++i, ++bit) {
      if (bit % 8 == 0) bytes.push_back(0);
      bytes.back() |= static_cast<uint8_t>((value >> i & 1) << bit % 8);
    }
  };
  put(0, 1), put(3, 2), put(side - 1, 30), put(1, 3);  // the size: no small one, a height of 30 bits, square
  put(0, 1), put(0, 1);                                // not all as usual; no further fields
  put(0, 1), put(0, 2), put(1, 1);                     // integers of 8 bits
  put(3, 2), put(extra_channels - 1, 12);
  for (uint32_t i = 0; i < extra_channels; ++i) put(1, 1);  // as usual
  put(1, 1), put(1, 1), put(0, 2), put(1, 1);               // XYB, sRGB, no extensions, the usual transform
  return bytes;
}

// The last place.
std::size_t place_of(const Bytes& bytes, std::string_view text) {
  const auto at = std::find_end(bytes.begin(), bytes.end(), text.begin(), text.end());
  REQUIRE(at != bytes.end());
  return static_cast<std::size_t>(at - bytes.begin());
}

Metadata make_metadata() {
  Metadata metadata;
  metadata.exif = make_exif(true, 6);
  metadata.text = {{kXmpKeyword, "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><!-- the photograph's --></x:xmpmeta>"},
                   {kRecordKeyword, "hourglass restore INPUT --model 'a <b> & c'\ninput sha256 0123\n"},
                   {"Comment", "gr\xc3\xbc\xc3\x9f\r\n</hourglass:text></rdf:li> &amp;"}};
  return metadata;
}

}  // namespace

TEST_CASE("JPEG XL: 8 and 16 bits, gray and RGB, come back code by code") {
  for (const auto& [width, height] : {std::pair{8, 8}, {9, 13}, {300, 31}, {1, 1}})
    for (const int channels : {1, 3})
      for (const int depth : {8, 16}) {
        CAPTURE(width);
        CAPTURE(channels);
        CAPTURE(depth);
        Image image = make_picture(width, height, channels);
        image.pixels.front() = -0.5F;
        image.pixels.back() = 1.5F;
        const Bytes bytes = encode_jxl(image, {.bit_depth = depth});
        CHECK(image_format(bytes) == ImageFormat::jxl);
        CHECK(read_jxl_size(bytes).width == width);
        CHECK(read_jxl_size(bytes).height == height);
        const DecodedImage decoded = decode_jxl(bytes);
        CHECK(decoded.format == ImageFormat::jxl);
        CHECK(decoded.bit_depth == depth);
        CHECK(decoded.warnings.empty());
        REQUIRE(decoded.image.pixels.size() == image.pixels.size());
        CHECK(std::equal(image.pixels.begin(), image.pixels.end(), decoded.image.pixels.begin(), [&](float a, float b) {
          return depth == 8 ? to_byte(a) == to_byte(b) : to_word(a) == to_word(b);
        }));
        CHECK(encode_jxl(decoded.image, {.bit_depth = depth}) == bytes);
      }
}

TEST_CASE("JPEG XL: EXIF, XMP and texts come back, from what stands before the pixels alone") {
  const Image image = make_picture(40, 24, 3);
  const Metadata metadata = make_metadata();
  const Bytes bytes = encode_jxl(image, {.metadata = &metadata});
  const DecodedImage decoded = decode_jxl(bytes);
  CHECK(decoded.metadata.exif == metadata.exif);
  CHECK(decoded.metadata.text == metadata.text);
  CHECK(decoded.metadata.icc_profile.empty());
  // As it is stored: the orientation stays a tag, in the codestream too.
  CHECK(decoded.image.width == 40);
  CHECK(decoded.warnings.empty());
  const Metadata first = read_jxl_metadata({bytes.data(), place_of(bytes, "jxlp")});
  CHECK(first.text == metadata.text);
  CHECK(find_text(bytes, kRecordKeyword) == metadata.text[1].second);
  CHECK(lost_in_jxl(metadata, 3).empty());
}

TEST_CASE("JPEG XL: an orientation that EXIF does not say is carried out, one that it says otherwise is told of") {
  const Image image = make_picture(12, 8, 3);
  Metadata metadata;
  metadata.exif = make_exif(false, 6);
  Bytes bytes = encode_jxl(image, {.metadata = &metadata});
  const std::size_t exif = place_of(bytes, "Exif");
  // No such box any more.
  std::copy_n("free", 4, bytes.begin() + static_cast<std::ptrdiff_t>(exif));
  const DecodedImage turned = decode_jxl(bytes);
  CHECK(turned.image.width == 8);
  CHECK(turned.image.height == 12);
  CHECK(turned.metadata.exif.empty());
  CHECK(largest_difference(turned.image, upright(image, 6)) < 0.51 / 255);

  std::copy_n("Exif", 4, bytes.begin() + static_cast<std::ptrdiff_t>(exif));
  const Bytes other = make_exif(false, 3);
  std::copy(other.begin(), other.end(), bytes.begin() + static_cast<std::ptrdiff_t>(exif) + 8);
  const DecodedImage contradicted = decode_jxl(bytes);
  CHECK(contradicted.image.width == 8);
  CHECK(contradicted.metadata.exif.empty());
  REQUIRE(contradicted.warnings.size() == 1);
  CHECK_CONTAINS(contradicted.warnings[0], "another orientation");
}

TEST_CASE("JPEG XL: EXIF stays where the picture lies as it says, and that is upright") {
  Metadata metadata;
  metadata.exif = make_exif(true, 6);
  Bytes bytes = encode_jxl(make_picture(12, 8, 3), {.metadata = &metadata});
  const Bytes upright_exif = make_exif(true, 1);
  std::copy(upright_exif.begin(), upright_exif.end(),
            bytes.begin() + static_cast<std::ptrdiff_t>(place_of(bytes, "Exif")) + 8);
  const DecodedImage decoded = decode_jxl(bytes);
  CHECK(decoded.image.width == 8);  // which the codestream alone states is turned
  CHECK(decoded.metadata.exif == upright_exif);
  CHECK(decoded.warnings.empty());
}

TEST_CASE("JPEG XL: compressed boxes of metadata are read, and told of where they are damaged") {
  ForeignJxl foreign{.channels = 3};
  foreign.boxes = {{"Exif", Bytes(4)}, {"xml ", Bytes(100000, 'x')}, {"jumb", Bytes(50)}};
  const Bytes exif = make_exif(true, 1);
  foreign.boxes[0].second.insert(foreign.boxes[0].second.end(), exif.begin(), exif.end());
  Bytes bytes = encode_foreign_jxl(16, 8, foreign);
  const std::size_t brob = place_of(bytes, "brobxml ");
  CHECK(place_of(bytes, "brobExif") < brob);
  for (const Metadata& metadata : {decode_jxl(bytes).metadata, read_jxl_metadata(bytes)}) {
    CHECK(metadata.exif == exif);
    REQUIRE(metadata.text.size() == 1);
    CHECK(metadata.text[0].first == kXmpKeyword);
    CHECK(metadata.text[0].second == std::string(100000, 'x'));
  }
  CHECK(decode_jxl(bytes).warnings.empty());
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(brob) + 8, 6, uint8_t{0xff});
  const DecodedImage damaged = decode_jxl(bytes);
  CHECK(damaged.metadata.exif == exif);
  CHECK(damaged.metadata.text.empty());
  REQUIRE(damaged.warnings.size() == 1);
  CHECK_CONTAINS(damaged.warnings[0], "its compressed XMP is damaged");
}

TEST_CASE("JPEG XL: a header that asks for more memory than there is, is refused") {
  for (const uint32_t extra : {9U, 4096U}) {
    CHECK_CONTAINS(error_of([&] { decode_jxl(header_alone(8, extra)); }), "channels beside its colours");
  }
  CHECK(read_jxl_size(header_alone(16000, 8)).width == 16000);
  // Its colours alone would fit: 768 MB.
  CHECK_CONTAINS(error_of([&] { decode_jxl(header_alone(8000, 8), std::size_t{1} << 30); }), "the limit is 1024 MiB");
  CHECK_CONTAINS(error_of([&] { decode_jxl(header_alone(8, 8), std::size_t{1} << 30); }), "truncated or damaged");
}

TEST_CASE("JPEG XL: texts of other files are read as a PNG can hold them, and written as XML can") {
  const Image image = make_picture(8, 8, 1);
  Metadata metadata;
  metadata.text = {{std::string(79, 'k'), "a"}, {std::string(80, 'k'), "b"}, {"", "c"}, {"gr\xfc\xdf", "\xe9t\xe9"}};
  const Metadata read = decode_jxl(encode_jxl(image, {.metadata = &metadata})).metadata;
  REQUIRE(read.text.size() == 2);
  CHECK(read.text[0] == metadata.text[0]);
  CHECK(read.text[1] == std::pair<std::string, std::string>("gr\xc3\xbc\xc3\x9f", "\xc3\xa9t\xc3\xa9"));
}

TEST_CASE("JPEG XL: a colour profile comes back, or is said to be left out") {
  const DecodedImage wide = decode_jxl(encode_foreign_jxl(16, 16, {.wide_gamut = true}));
  REQUIRE(!wide.metadata.icc_profile.empty());
  CHECK(lost_in_jxl(wide.metadata, 3).empty());
  const DecodedImage again = decode_jxl(encode_jxl(wide.image, {.metadata = &wide.metadata}));
  CHECK(again.metadata.icc_profile == wide.metadata.icc_profile);
  CHECK(again.image.pixels == wide.image.pixels);

  Metadata bad = wide.metadata;
  bad.icc_profile.resize(200);
  REQUIRE(lost_in_jxl(bad, 3).size() == 1);
  CHECK_CONTAINS(lost_in_jxl(bad, 3)[0], "the colour profile is left out");
  CHECK(decode_jxl(encode_jxl(wide.image, {.metadata = &bad})).metadata.icc_profile.empty());
  // Whole, and for gray images.
  CHECK(lost_in_jxl(wide.metadata, 1).size() == 1);
  // Well-formed as far as its header goes, and without a single tag.
  Bytes hollow(wide.metadata.icc_profile.begin(), wide.metadata.icc_profile.begin() + 132);
  hollow[0] = hollow[1] = hollow[2] = 0, hollow[3] = 132;
  std::fill(hollow.begin() + 128, hollow.end(), uint8_t{0});
  bad.icc_profile = hollow;
  const bool is_lost = !lost_in_jxl(bad, 3).empty();
  CHECK(decode_jxl(encode_jxl(wide.image, {.metadata = &bad})).metadata.icc_profile == (is_lost ? Bytes() : hollow));

  Metadata iptc;
  iptc.text = {{kIptcKeyword, "\niptc\n       1\n00\n"}};
  REQUIRE(lost_in_jxl(iptc, 3).size() == 1);
  CHECK_CONTAINS(lost_in_jxl(iptc, 3)[0], "IPTC");
  CHECK(decode_jxl(encode_jxl(wide.image, {.metadata = &iptc})).metadata.text.empty());
}

TEST_CASE("JPEG XL: what is no photograph is refused, opaque alpha is not") {
  CHECK(decode_jxl(encode_foreign_jxl(8, 8, {.channels = 4})).image.channels == 3);
  CHECK(decode_jxl(encode_foreign_jxl(8, 8, {.channels = 2})).image.channels == 1);
  const auto refuses = [](const ForeignJxl& options, const char* part) {
    const Bytes bytes = encode_foreign_jxl(8, 8, options);
    CHECK_CONTAINS(error_of([&] { decode_jxl(bytes); }), part);
  };
  refuses({.channels = 4, .alpha = 254}, "transparent");
  refuses({.change =
               [](JxlBasicInfo& info) {
                 info.have_animation = JXL_TRUE;
                 info.animation.tps_numerator = info.animation.tps_denominator = 1;
               }},
          "animation");
  const Bytes bytes = encode_foreign_jxl(64, 64, {});
  CHECK_CONTAINS(error_of([&] { decode_jxl(bytes, 1000); }), "the limit is 1000 bytes");
  // Two planes of floats for each channel, and three bytes of each pixel.
  constexpr std::size_t kNeeded = std::size_t{64} * 64 * (2 * 3 + 1) * sizeof(float);
  CHECK(decode_jxl(bytes, kNeeded).image.width == 64);
  CHECK_CONTAINS(error_of([&] { decode_jxl(bytes, kNeeded - 1); }), "the limit is");
}

TEST_CASE("JPEG XL: cut off anywhere it is refused, and changed anywhere nothing worse happens") {
  const Metadata metadata = make_metadata();
  const Bytes bytes = encode_jxl(make_picture(33, 21, 3), {.metadata = &metadata});
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 40) {
    CAPTURE(size);
    CHECK_THROWS_AS(decode_jxl({bytes.data(), size}), Error);
    read_jxl_metadata({bytes.data(), size});
    CHECK(read_jxl_size({bytes.data(), size}).width >= 0);
  }
  std::mt19937 random(1);
  int read = 0;
  for (int i = 0; i < 300; ++i) {
    Bytes changed = bytes;
    changed[random() % changed.size()] ^= static_cast<uint8_t>(1U << random() % 8);
    try {
      read += decode_jxl(changed, std::size_t{1} << 24).image.pixels.empty() ? 0 : 1;
    } catch (const Error&) {
    }
  }
  CHECK(read > 0);    // in a text, say
  CHECK(read < 300);  // in the codestream
}

TEST_CASE("JPEG XL: a file is known by its beginning, whatever its name, and its ending says what is written") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.png", encode_jxl(make_picture(30, 20, 1)), false);
  const auto header = find_image_header(folder / "a.png");
  REQUIRE(header);
  CHECK(header->format == ImageFormat::jxl);
  CHECK(header->width == 30);
  CHECK(header->height == 20);
  CHECK(read_image(folder / "a.png").image.height == 20);
  const Bytes bare = encode_foreign_jxl(10, 4, {});  // without a container
  CHECK(bare[0] == 0xff);
  write_file_atomically(folder / "b.jxl", bare, false);
  REQUIRE(find_image_header(folder / "b.jxl"));
  CHECK(find_image_header(folder / "b.jxl")->width == 10);
  const Bytes tiny = encode_foreign_jxl(8, 8, {.channels = 1, .is_flat = true});
  REQUIRE(tiny.size() < 24);
  write_file_atomically(folder / "tiny.jxl", tiny, false);
  REQUIRE(find_image_header(folder / "tiny.jxl"));
  CHECK(find_image_header(folder / "tiny.jxl")->width == 8);
  std::ofstream(folder / "cut.png") << "\x89PNG\r\n\x1a\n";
  CHECK(!find_image_header(folder / "cut.png"));
  // Much metadata before the picture's header, as others write it.
  Bytes behind(kJxlContainerHead.begin(), kJxlContainerHead.end());
  behind.insert(behind.end(), {0, 2, 0, 8, 'f', 'r', 'e', 'e'});
  behind.resize(behind.size() + (2 << 16));
  const auto size = static_cast<uint8_t>(tiny.size() + 8);
  behind.insert(behind.end(), {0, 0, 0, size, 'j', 'x', 'l', 'c'});
  behind.insert(behind.end(), tiny.begin(), tiny.end());
  write_file_atomically(folder / "late.jxl", behind, false);
  REQUIRE(find_image_header(folder / "late.jxl"));
  CHECK(find_image_header(folder / "late.jxl")->width == 8);
  CHECK(format_to_write("x.jxl") == ImageFormat::jxl);
  CHECK(format_to_write("x.JXL") == ImageFormat::jxl);
  CHECK_CONTAINS(error_of([] { check_ending("x.jxl", ImageFormat::png); }), "what is written is a PNG: name it x.png");
  CHECK_CONTAINS(error_of([] { check_ending("x.png", ImageFormat::jxl); }), "a JPEG XL: name it x.jxl");
  check_ending("x.jxl", ImageFormat::jxl);
}

}  // namespace hourglass::test
