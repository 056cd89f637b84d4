// Files that are not what they should be: one Error, no crash, no leak (the asan build sees those).
#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>

#include <algorithm>
#include <random>

#include "engine/image/read_image.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

// Decodes both ways; whether either refused.
bool refused(const Bytes& bytes) {
  bool any = false;
  try {
    const DecodedImage decoded = decode_jpeg(bytes);
    CHECK(decoded.image.pixels.size() ==
          static_cast<std::size_t>(decoded.image.width * decoded.image.height * decoded.image.channels));
  } catch (const Error& error) {
    CHECK(std::string(error.what()).size() > 10);
    any = true;
  }
  try {
    const JpegCoefficients said = read_jpeg_coefficients(bytes);
    CHECK_FALSE(said.components.empty());
  } catch (const Error&) {
    any = true;
  }
  return any;
}

}  // namespace

TEST_CASE("CMYK and YCCK are refused by name") {
  const RawJpeg cmyk{.components = 4, .input_space = JCS_CMYK, .file_space = JCS_CMYK};
  const RawJpeg ycck{.components = 4, .input_space = JCS_CMYK, .file_space = JCS_YCCK};
  for (const auto& read :
       {+[](const Bytes& b) { decode_jpeg(b); }, +[](const Bytes& b) { read_jpeg_coefficients(b); }}) {
    CHECK_CONTAINS(error_of([&] { read(encode_raw_jpeg(16, 16, cmyk)); }), "coded as CMYK");
    CHECK_CONTAINS(error_of([&] { read(encode_raw_jpeg(16, 16, ycck)); }), "coded as YCCK");
  }
  const RawJpeg two{.components = 2, .input_space = JCS_UNKNOWN, .file_space = JCS_UNKNOWN};
  CHECK_CONTAINS(error_of([&] { decode_jpeg(encode_raw_jpeg(16, 16, two)); }), "2 components of an unknown colour");
}

TEST_CASE("a truncated file is refused, wherever it ends") {
  for (const JpegOptions& options :
       {JpegOptions{}, JpegOptions{.progressive = true}, JpegOptions{.restart_interval = 2}}) {
    const Bytes whole = encode_jpeg(make_picture(40, 33, 3), options);
    REQUIRE_FALSE(refused(whole));
    constexpr std::size_t kEndMarker = 2;  // without it alone a file is complete: jpeg_odd_test.cpp
    for (std::size_t size = 0; size + kEndMarker < whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK_THROWS_AS(decode_jpeg(cut), Error);
      CHECK_THROWS_AS(read_jpeg_coefficients(cut), Error);
    }
  }
  Bytes cut = encode_jpeg(make_picture(40, 33, 3), {});
  cut.resize(cut.size() / 2 + 200);
  const std::string text = error_of([&] { decode_jpeg(cut); });
  CHECK_CONTAINS(text, "truncated or damaged");
  CHECK_CONTAINS(text, "complete copy");
  CHECK_CONTAINS(text, "save it as PNG");
}

TEST_CASE("data that lacks is refused, whatever fills its place") {
  for (const JpegOptions& options :
       {JpegOptions{}, JpegOptions{.progressive = true}, JpegOptions{.restart_interval = 2}}) {
    const Bytes whole = encode_jpeg(make_picture(64, 64, 3), options);
    for (const std::size_t share : {50, 90}) {
      Bytes zeros = whole;  // a download that was not finished
      std::fill(zeros.begin() + static_cast<std::ptrdiff_t>(whole.size() * share / 100), zeros.end(), uint8_t{0});
      CHECK_CONTAINS(error_of([&] { decode_jpeg(zeros); }), "truncated or damaged");
      CHECK_CONTAINS(error_of([&] { read_jpeg_coefficients(zeros); }), "truncated or damaged");
    }
  }
  // Between two scans: of a component each, and of more and more precision.
  Bytes scans = encode_raw_jpeg(16, 16, {.file_space = JCS_YCbCr, .sequential_scans = true});
  Bytes progressive = encode_jpeg(make_picture(64, 64, 3), {.progressive = true});
  for (Bytes* bytes : {&scans, &progressive}) {
    std::size_t last_scan = bytes->size();
    while (!((*bytes)[last_scan - 2] == 0xff && (*bytes)[last_scan - 1] == 0xda)) --last_scan;
    bytes->resize(last_scan - 2);
    CHECK_CONTAINS(error_of([&] { decode_jpeg(*bytes); }), "truncated or damaged");
    CHECK_CONTAINS(error_of([&] { read_jpeg_coefficients(*bytes); }), "truncated or damaged");
  }
  // The arithmetic decoder takes what lacks for zeros.
  Bytes arithmetic = encode_raw_jpeg(64, 64, {.arithmetic = true});
  REQUIRE_FALSE(refused(arithmetic));
  arithmetic.resize(arithmetic.size() / 2);
  CHECK_CONTAINS(error_of([&] { decode_jpeg(arithmetic); }), "truncated or damaged");
}

TEST_CASE("data that ends early is refused even with an end-of-image marker behind it") {
  Bytes cut = encode_jpeg(make_picture(64, 64, 3), {});
  cut.resize(cut.size() * 3 / 4);
  cut.push_back(0xff);
  cut.push_back(0xd9);
  CHECK_CONTAINS(error_of([&] { decode_jpeg(cut); }), "premature end of data segment");
  CHECK_CONTAINS(error_of([&] { read_jpeg_coefficients(cut); }), "premature end of data segment");
}

TEST_CASE("a progressive file without its last scans comes with a warning") {
  const Bytes bytes = with_first_scans(encode_jpeg(make_picture(40, 40, 1), {.progressive = true}), 4);
  REQUIRE(decode_jpeg(bytes).warnings.size() == 1);
  CHECK_CONTAINS(decode_jpeg(bytes).warnings[0], "before full precision");
  CHECK_CONTAINS(read_jpeg_coefficients(bytes).warnings.at(0), "before full precision");
}

TEST_CASE("random damage") {
  std::mt19937 random(20240501);
  int refusals = 0;
  constexpr int kFiles = 4, kTrials = 400;
  const JpegOptions kinds[kFiles] = {{.quality = 60},
                                     {.quality = 60, .progressive = true},
                                     {.quality = 40, .subsampling = Subsampling::s444, .restart_interval = 3},
                                     {.quality = 90, .subsampling = Subsampling::s440, .optimize = true}};
  for (const JpegOptions& options : kinds) {
    const Bytes whole = encode_jpeg(make_picture(56, 43, 3), options);
    for (int trial = 0; trial < kTrials; ++trial) {
      Bytes damaged = whole;
      const unsigned flips = 1 + random() % 4;
      for (unsigned i = 0; i < flips; ++i)
        damaged[2 + random() % (damaged.size() - 2)] = static_cast<uint8_t>(random());
      refusals += refused(damaged) ? 1 : 0;
    }
  }
  CHECK(refusals > kFiles * kTrials / 10);
}

TEST_CASE("a size that the file cannot hold is refused before memory is taken") {
  Bytes bytes = encode_jpeg(make_picture(16, 16, 1), {});
  std::size_t frame = 0;
  while (!(bytes[frame] == 0xff && bytes[frame + 1] == 0xc0)) ++frame;
  const auto set_size = [&](int height, int width) {
    bytes[frame + 5] = static_cast<uint8_t>(height >> 8);
    bytes[frame + 6] = static_cast<uint8_t>(height & 255);
    bytes[frame + 7] = static_cast<uint8_t>(width >> 8);
    bytes[frame + 8] = static_cast<uint8_t>(width & 255);
  };
  set_size(60000, 60000);
  CHECK_CONTAINS(error_of([&] { decode_jpeg(bytes); }), "60000x60000 pixels, more than");
  set_size(16000, 16000);
  CHECK_CONTAINS(error_of([&] { read_jpeg_coefficients(bytes); }), "cannot hold 16000x16000 pixels");

  // Arithmetic coding says next to nothing about a flat image, so the limit is what a photograph needs.
  bytes = encode_raw_jpeg(16, 16, {.components = 1, .input_space = 1, .file_space = 1, .arithmetic = true});
  frame = 0;
  while (!(bytes[frame] == 0xff && bytes[frame + 1] == 0xc9)) ++frame;
  set_size(16383, 16383);
  CHECK_CONTAINS(error_of([&] { decode_jpeg(bytes); }), "cannot hold 16383x16383 pixels of a photograph");
  CHECK_CONTAINS(error_of([&] { read_jpeg_coefficients(bytes); }), "cannot hold 16383x16383 pixels");
}

TEST_CASE("an image that is larger than the memory it may have is refused from its header") {
  const Image picture = make_picture(100, 50, 3);
  for (const Bytes& bytes : {encode_jpeg(picture, {}), encode_png(picture)}) {
    CHECK_CONTAINS(error_of([&] { decode_image(bytes, "a", 59'999); }),
                   "a: is 100x50: its pixels alone need 60000 bytes");
    CHECK(decode_image(bytes, "a", 60'000).image.width == 100);
  }
}

TEST_CASE("kinds of JPEG that are not supported are refused in plain words") {
  Bytes bytes = encode_jpeg(make_picture(16, 16, 1), {});
  std::size_t frame = 0;
  while (!(bytes[frame] == 0xff && bytes[frame + 1] == 0xc0)) ++frame;
  const auto refusal = [&](std::size_t at, uint8_t value) {
    Bytes other = bytes;
    other[frame + at] = value;
    return error_of([&] { decode_jpeg(other); });
  };
  CHECK_CONTAINS(refusal(1, 0xc3), "a lossless one");
  CHECK_CONTAINS(refusal(1, 0xc5), "a hierarchical one");
  CHECK_CONTAINS(refusal(4, 12), "12 bits for each sample");
  bytes[frame + 5] = 0;
  CHECK_CONTAINS(refusal(6, 0), "does not state its height");
}

TEST_CASE("a bomb of scans is refused") {
  // A file with a scan for each component, the last of them a thousand times.
  const Bytes whole = encode_raw_jpeg(16, 16, {.file_space = JCS_YCbCr, .sequential_scans = true});
  std::ptrdiff_t last_scan = 0;
  for (std::size_t i = 0; i + 1 < whole.size(); ++i)
    if (whole[i] == 0xff && whole[i + 1] == 0xda) last_scan = static_cast<std::ptrdiff_t>(i);
  Bytes bomb(whole.begin(), whole.end() - 2);
  for (int i = 0; i < 1000; ++i) bomb.insert(bomb.end(), whole.begin() + last_scan, whole.end() - 2);
  bomb.insert(bomb.end(), {0xff, 0xd9});
  CHECK_CONTAINS(error_of([&] { decode_jpeg(bomb); }), "more than 500 scans");
  CHECK_CONTAINS(error_of([&] { read_jpeg_coefficients(bomb); }), "more than 500 scans");
}

TEST_CASE("bytes that are no JPEG at all") {
  CHECK_THROWS_AS(decode_jpeg(Bytes{}), Error);
  CHECK_THROWS_AS(decode_jpeg(Bytes{0xff}), Error);
  CHECK_THROWS_AS(decode_jpeg(Bytes(1000, 0)), Error);
  CHECK_CONTAINS(error_of([] { read_jpeg_coefficients(Bytes(1000, 'x')); }), "libjpeg cannot read the file");
  CHECK_CONTAINS(error_of([] { decode_jpeg(Bytes{0xff, 0xd8, 0xff, 0xd9}); }), "no image");
}

}  // namespace hourglass::test
