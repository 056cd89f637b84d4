#include "engine/report/page_picture.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "engine/image/jpeg.h"
#include "engine/image/png.h"
#include "engine/report/contact_sheet.h"

namespace hourglass {
namespace {

// JPEGs above so many pixels, made smaller above so many.
constexpr int64_t kMostOfPng = 4'000'000, kMost = 24'000'000;
constexpr int kQuality = 95;

Image no_larger(const Image& image) {
  if (image.plane_size() <= kMost) return image;
  const double factor = std::sqrt(static_cast<double>(kMost) / static_cast<double>(image.plane_size()));
  return thumbnail(image, static_cast<int64_t>(factor * static_cast<double>(std::max(image.width, image.height))));
}

}  // namespace

Picture page_picture(const Image& image, const std::vector<uint8_t>& icc_profile) {
  Metadata metadata;
  metadata.icc_profile = icc_profile;
  Picture picture{.width = image.width, .height = image.height};
  if (image.plane_size() <= kMostOfPng) {
    std::vector<std::string> ignored;
    picture.bytes = encode_png(image, {.metadata = &metadata, .warnings = &ignored});
    return picture;
  }
  const Image shown = no_larger(image);
  if (shown.channels != image.channels) metadata.icc_profile.clear();
  picture.mime = "image/jpeg";
  picture.bytes = encode_jpeg(
      shown, {.quality = kQuality, .subsampling = Subsampling::s444, .optimize = true, .metadata = &metadata});
  return picture;
}

std::string page_picture_note(int64_t pixels) {
  if (pixels <= kMostOfPng) return {};
  return fmt::format("The page holds both as JPEGs of quality {}{}: the files themselves are exact.", kQuality,
                     pixels > kMost ? ", made smaller" : "");
}

}  // namespace hourglass
