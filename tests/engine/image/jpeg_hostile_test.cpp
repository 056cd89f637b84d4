// Files that are not what they should be: one Error, no crash, no leak (the asan build sees those).
#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>

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
    for (std::size_t size = 0; size < whole.size(); ++size) {
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
  Bytes bytes = encode_jpeg(make_picture(40, 40, 1), {.progressive = true});
  std::size_t last_scan = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i)
    if (bytes[i] == 0xff && (bytes[i + 1] == 0xda || bytes[i + 1] == 0xc4) && (bytes[i + 1] == 0xda || last_scan == 0))
      last_scan = i;
  REQUIRE(last_scan > 0);
  bytes.resize(last_scan);
  bytes.push_back(0xff);
  bytes.push_back(0xd9);
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
