#include "engine/restore/jpeg_source.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "engine/restore/consistency.h"
#include "engine/restore/filter.h"

namespace hourglass {
namespace {

// The pixels of a gray file.
Image decode_gray(const JpegCoefficients& file) {
  const Plane plane = decode_component(file.components[0]);
  Image image(file.width, file.height, 1);
  for (int64_t y = 0; y < file.height; ++y) {
    for (int64_t x = 0; x < file.width; ++x) {
      image.at(0, y, x) = std::clamp((plane.row(y)[x] + 128) / 255, 0.0F, 1.0F);
    }
  }
  return image;
}

// The picture with that luma in the place of its own, from y and x on, on the grid of the levels.
Image with_luma(Image picture, const Image& luma, int64_t y, int64_t x, int levels) {
  const auto rounded = [levels](float value) {
    const auto steps = static_cast<float>(levels);
    return std::round(std::clamp(value, 0.0F, 1.0F) * steps) / steps;
  };
  for (int64_t row = 0; row < luma.height; ++row) {
    for (int64_t column = 0; column < luma.width; ++column) {
      const auto sample = [&](int channel) -> float& { return picture.at(channel, y + row, x + column); };
      const float wanted = luma.at(0, row, column);
      // The same for red, green and blue changes luma alone (JFIF's matrix).
      const float change =
          wanted - (picture.channels == 1 ? sample(0) : 0.299F * sample(0) + 0.587F * sample(1) + 0.114F * sample(2));
      for (int channel = 0; channel < picture.channels; ++channel) sample(channel) = rounded(sample(channel) + change);
    }
  }
  return picture;
}

}  // namespace

Finished finish_in_cells(const Image& restored, const Image& decoded, const JpegModel& model,
                         const CellsOptions& options) {
  Image softened;
  if (options.strength != 1) {
    softened = restored;
    const auto strength = static_cast<float>(options.strength);
    for (std::size_t i = 0; i < softened.pixels.size(); ++i) {
      softened.pixels[i] = decoded.pixels[i] + strength * (restored.pixels[i] - decoded.pixels[i]);
    }
  }
  const Image& image = options.strength != 1 ? softened : restored;
  CellShares shares;
  shares.exact = check_consistent(image, model, 0).share();
  Finished finished{.image = to_consistent(image, model, options.levels), .cells = {}};
  shares.rounded = check_cells(finished.image, model).share();
  finished.cells = shares;
  return finished;
}

JpegSource::JpegSource(const JpegCoefficients& file, const Image& decoded, const FirstCompression* first,
                       const CellsOptions& options)
    : file_(file),
      picture_(decoded),
      first_(first),
      options_(options),
      first_decoded_(first == nullptr ? Image() : decode_gray(first->luma)),
      model_(first == nullptr ? file : first->luma) {}

bool JpegSource::surround(const Advance& advance) {
  if (first_ == nullptr) return true;
  const JpegModel model(file_);
  bool ended = false;
  const Image filtered = filter_jpeg(picture_, picture_, model, {}, watched(advance, ended));
  surroundings_ = finish_in_cells(filtered, picture_, model, options_).image;
  return !ended;
}

Finished JpegSource::finish(const Image& restored) const {
  Finished finished = finish_in_cells(restored, decoded(), model_, options_);
  if (first_ == nullptr) return finished;
  return {.image = with_luma(surroundings_, finished.image, first_->y, first_->x, options_.levels), .cells = {}};
}

}  // namespace hourglass
