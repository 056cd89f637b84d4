#include "engine/image/jpeg.h"
#include "engine/image/jpeg_metadata.h"
#include "engine/image/jpeg_session.h"

namespace hourglass {

DecodedImage decode_jpeg(std::span<const uint8_t> bytes, std::size_t memory_limit) {
  detail::JpegReader reader(bytes);
  jpeg_decompress_struct* cinfo = reader.get();
  const int channels = cinfo->jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
  check_memory(cinfo->image_width, cinfo->image_height, channels, memory_limit);
  DecodedImage decoded;
  decoded.metadata = detail::read_metadata(reader, decoded.warnings);

  cinfo->out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  cinfo->dct_method = JDCT_ISLOW;
  decoded.image = Image(cinfo->image_width, cinfo->image_height, channels);
  std::vector<uint8_t> row(static_cast<std::size_t>(decoded.image.width * channels));

  Image& image = decoded.image;
  reader.run([&] {
    jpeg_start_decompress(cinfo);
    while (cinfo->output_scanline < cinfo->output_height) {
      const int64_t y = cinfo->output_scanline;
      JSAMPROW rows[] = {row.data()};
      jpeg_read_scanlines(cinfo, rows, 1);
      for (int c = 0; c < channels; ++c) {
        float* line = image.plane(c) + y * image.width;
        for (int64_t x = 0; x < image.width; ++x) line[x] = static_cast<float>(row[x * channels + c]) / 255.0F;
      }
    }
  });
  reader.finish();
  for (std::string& warning : reader.take_warnings()) decoded.warnings.push_back(std::move(warning));
  return decoded;
}

Metadata read_jpeg_metadata(std::span<const uint8_t> bytes) {
  detail::JpegReader reader(bytes);
  std::vector<std::string> ignored;
  return detail::read_metadata(reader, ignored);
}

#define HG_TEXT(token) #token
#define HG_TEXT_OF(macro) HG_TEXT(macro)

std::string libjpeg_version() { return HG_TEXT_OF(LIBJPEG_TURBO_VERSION); }

}  // namespace hourglass
