#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/image/jpeg.h"
#include "engine/image/jpeg_session.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr char kExifMark[] = "Exif\0";  // with the terminating zero: six bytes
constexpr double kMetresPerInch = 0.0254, kMetresPerCentimetre = 0.01;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

Metadata read_metadata(detail::JpegReader& reader) {
  Metadata metadata;
  jpeg_decompress_struct* cinfo = reader.get();
  for (jpeg_saved_marker_ptr marker = cinfo->marker_list; marker != nullptr; marker = marker->next) {
    if (marker->marker != JPEG_APP0 + 1 || marker->data_length <= sizeof kExifMark) continue;
    if (std::memcmp(marker->data, kExifMark, sizeof kExifMark) != 0) continue;
    metadata.exif.assign(marker->data + sizeof kExifMark, marker->data + marker->data_length);
    break;
  }
  JOCTET* profile = nullptr;
  unsigned int profile_bytes = 0;
  reader.run([&] { jpeg_read_icc_profile(cinfo, &profile, &profile_bytes); });
  const std::unique_ptr<JOCTET, Free> owner(profile);
  if (profile != nullptr) metadata.icc_profile.assign(profile, profile + profile_bytes);
  if (cinfo->saw_JFIF_marker) {
    const double x = cinfo->X_density, y = cinfo->Y_density;
    const bool physical = cinfo->density_unit == 1 || cinfo->density_unit == 2;
    const double unit = cinfo->density_unit == 1 ? kMetresPerInch : kMetresPerCentimetre;
    if (x > 0 && y > 0 && physical) metadata.density = PixelDensity{.x = x / unit, .y = y / unit, .per_metre = true};
    if (x > 0 && y > 0 && !physical && x != y) metadata.density = PixelDensity{.x = x, .y = y, .per_metre = false};
  }
  return metadata;
}

}  // namespace

DecodedImage decode_jpeg(std::span<const uint8_t> bytes) {
  detail::JpegReader reader(bytes);
  jpeg_decompress_struct* cinfo = reader.get();
  DecodedImage decoded;
  decoded.metadata = read_metadata(reader);

  const int channels = cinfo->jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
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
  reader.check_scans_complete();
  // Reads on to the end-of-image marker, so that a file that lacks it is noticed.
  reader.run([&] { jpeg_finish_decompress(cinfo); });
  decoded.warnings = reader.take_warnings();
  return decoded;
}

#define HG_TEXT(token) #token
#define HG_TEXT_OF(macro) HG_TEXT(macro)

std::string libjpeg_version() { return HG_TEXT_OF(LIBJPEG_TURBO_VERSION); }

}  // namespace hourglass
