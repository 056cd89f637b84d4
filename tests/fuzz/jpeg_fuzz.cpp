// A JPEG's pixels, coefficients and metadata: what is decoded is of one size, its numbers are in range, and what its
// header says can be written again as PNG and as JPEG.
#include <algorithm>

#include "engine/image/jpeg.h"
#include "engine/image/orientation.h"
#include "engine/image/png.h"
#include "engine/image/read_image.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace hourglass;
using fuzz::expect;

void check_coefficients(const JpegCoefficients& jpeg, const Image& image) {
  expect(jpeg.width == image.width && jpeg.height == image.height, "coefficients and pixels are of the same size");
  expect(jpeg.components.size() == static_cast<std::size_t>(image.channels), "as many components as channels");
  for (const JpegComponent& component : jpeg.components) {
    expect(component.coefficients.size() == static_cast<std::size_t>(component.blocks_w * component.blocks_h * 64),
           "64 coefficients to a block");
    expect(component.width <= component.width_in_blocks * 8 && component.height <= component.height_in_blocks * 8,
           "the blocks hold all samples");
    expect(component.width_in_blocks <= component.blocks_w && component.height_in_blocks <= component.blocks_h,
           "the blocks of the image are stored");
  }
}

void check_metadata(const DecodedImage& decoded) {
  const Metadata& metadata = decoded.metadata;
  const int orientation = exif_orientation(metadata.exif);
  expect(orientation >= 1 && orientation <= 8, "an orientation is 1 to 8");
  const Image turned = upright(decoded.image, orientation);
  expect(turned.pixels.size() == decoded.image.pixels.size(), "turning keeps the number of pixels");
  std::vector<std::string> warnings;
  const std::vector<uint8_t> png = encode_png(decoded.image, {.metadata = &metadata, .warnings = &warnings});
  const DecodedImage again = decode_png(png);
  expect(again.image.pixels == decoded.image.pixels, "a PNG holds the pixels");
  expect(again.metadata.exif == metadata.exif, "a PNG holds the EXIF block");
  expect(again.metadata.icc_profile == metadata.icc_profile || !warnings.empty() ||
             !lost_in_png(metadata, decoded.image.channels).empty(),
         "a PNG holds the colour profile, or it is said");
  if (metadata.exif.size() > kMaxJpegExif) return;
  expect(decode_jpeg(encode_jpeg(decoded.image, {.metadata = &metadata})).metadata.exif == metadata.exif,
         "a JPEG holds the EXIF block");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  fuzz::refusing({data, size}, [](fuzz::Bytes bytes) { find_text(bytes, kRecordKeyword); });
  return fuzz::refusing({data, size}, [](fuzz::Bytes bytes) {
    const DecodedImage decoded = decode_jpeg(bytes, fuzz::kMostPixelBytes);
    expect(std::all_of(decoded.image.pixels.begin(), decoded.image.pixels.end(),
                       [](float value) { return value >= 0 && value <= 1; }),
           "pixels are in [0, 1]");
    check_coefficients(read_jpeg_coefficients(bytes), decoded.image);
    check_metadata(decoded);
  });
}
