// A picture compressed once more as a file was, and what the filter makes of that: there the original is known.
#pragma once

#include <vector>

#include "engine/image/image.h"
#include "engine/restore/filter.h"
#include "engine/restore/jpeg_pipeline.h"

namespace hourglass {

struct Recompressed {
  // planes: as JpegPipeline::apply() takes them, of any size.
  Recompressed(const std::vector<Plane>& planes, const JpegModel& like)
      : file(compress_like(planes, like)), model(file), decoded(decode(model)), image(model.to_image(decoded)) {
    clamp(image);
    filtered = filter_jpeg(image, image, model);
  }
  // The model refers to the file.
  Recompressed(const Recompressed&) = delete;
  Recompressed& operator=(const Recompressed&) = delete;

  JpegCoefficients file;
  JpegModel model;
  std::vector<Plane> decoded;
  Image image, filtered;  // the decoded planes, clamped; filter_jpeg() of them
};

}  // namespace hourglass
