// A PNG's pixels and metadata: what is decoded comes out the same when it is written and read once more. The bytes as
// they are, and with the checksums of their chunks made right, so that what is behind those is reached.
#include <zlib.h>

#include <algorithm>
#include <vector>

#include "engine/image/png.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace hourglass;
using fuzz::expect;

uint32_t big_endian(const uint8_t* at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | uint32_t{at[3]};
}

// Behind the signature each chunk is a length, a type, so many bytes, and a checksum of these and the type.
std::vector<uint8_t> made_right(fuzz::Bytes bytes) {
  constexpr std::size_t kSignature = 8, kLength = 4, kType = 4, kChecksum = 4;
  std::vector<uint8_t> whole(bytes.begin(), bytes.end());
  for (std::size_t at = kSignature; at + kLength + kType + kChecksum <= whole.size();) {
    uint8_t* chunk = whole.data() + at;
    const std::size_t length = big_endian(chunk);
    if (length > whole.size() - at - kLength - kType - kChecksum) break;
    const auto checksum = static_cast<uint32_t>(crc32_z(crc32_z(0, nullptr, 0), chunk + kLength, kType + length));
    uint8_t* to = chunk + kLength + kType + length;
    for (int shift = 24; shift >= 0; shift -= 8) *to++ = static_cast<uint8_t>(checksum >> shift);
    at += kLength + kType + length + kChecksum;
  }
  return whole;
}

void check(fuzz::Bytes bytes) {
  const DecodedImage decoded = decode_png(bytes, fuzz::kMostPixelBytes);
  const Image& image = decoded.image;
  expect(image.pixels.size() == static_cast<std::size_t>(image.width * image.height * image.channels),
         "the pixels fill the image");
  expect(decoded.bit_depth == 8 || decoded.bit_depth == 16, "8 or 16 bits");
  std::vector<std::string> warnings;
  const DecodedImage again = decode_png(
      encode_png(image, {.bit_depth = decoded.bit_depth, .metadata = &decoded.metadata, .warnings = &warnings}));
  expect(again.image.pixels == image.pixels, "the pixels come back");
  expect(again.metadata.exif == decoded.metadata.exif, "EXIF comes back");
  expect(again.metadata.icc_profile == decoded.metadata.icc_profile || !warnings.empty(),
         "the colour profile comes back, or it is said");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const fuzz::Bytes given(data, size);
  const std::vector<uint8_t> right = made_right(given);
  if (!std::equal(right.begin(), right.end(), given.begin())) {
    fuzz::refusing(given, [](fuzz::Bytes bytes) { decode_png(bytes, fuzz::kMostPixelBytes); });
  }
  fuzz::refusing(right, [](fuzz::Bytes bytes) { read_png_metadata(bytes); });
  return fuzz::refusing(right, check);
}
