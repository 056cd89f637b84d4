// A JPEG XL's pixels and metadata: what is decoded comes out the same when it is written and read once more.
#include "engine/image/jxl.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace hourglass;
  using fuzz::expect;
  fuzz::refusing({data, size}, [](fuzz::Bytes bytes) { read_jxl_metadata(bytes); });
  return fuzz::refusing({data, size}, [](fuzz::Bytes bytes) {
    const DecodedImage decoded = decode_jxl(bytes, fuzz::kMostPixelBytes);
    const Image& image = decoded.image;
    expect(image.pixels.size() == static_cast<std::size_t>(image.width * image.height * image.channels),
           "the pixels fill the image");
    expect(decoded.bit_depth == 8 || decoded.bit_depth == 16, "8 or 16 bits");
    const bool is_lost = !lost_in_jxl(decoded.metadata, image.channels).empty();
    const DecodedImage again =
        decode_jxl(encode_jxl(image, {.bit_depth = decoded.bit_depth, .metadata = &decoded.metadata}));
    expect(again.image.pixels == image.pixels, "the pixels come back");
    expect(again.metadata.exif == decoded.metadata.exif, "EXIF comes back");
    expect(again.metadata.icc_profile == decoded.metadata.icc_profile || is_lost,
           "the colour profile comes back, or it is said");
  });
}
