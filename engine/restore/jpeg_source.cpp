#include "engine/restore/jpeg_source.h"

#include <cmath>
#include <cstddef>
#include <utility>

#include "engine/restore/consistency.h"
#include "engine/restore/filter.h"
#include "engine/restore/jpeg_pipeline.h"

namespace hourglass {
namespace {

// to = from + weight (to - from)
void blend_in(const Image& from, double weight, Image& to) {
  const auto w = static_cast<float>(weight);
  for (std::size_t i = 0; i < to.pixels.size(); ++i) {
    to.pixels[i] = from.pixels[i] + w * (to.pixels[i] - from.pixels[i]);
  }
}

// The picture with the part in its place, from y and x on. A gray part is luma; in a picture in colour it takes the
// place of that alone.
Image with_part(Image picture, const Image& part, int64_t y, int64_t x) {
  for (int64_t row = 0; row < part.height; ++row) {
    for (int64_t column = 0; column < part.width; ++column) {
      const auto sample = [&](int channel) -> float& { return picture.at(channel, y + row, x + column); };
      if (picture.channels == part.channels) {
        for (int channel = 0; channel < part.channels; ++channel) sample(channel) = part.at(channel, row, column);
        continue;
      }
      // The same for red, green and blue changes luma alone (JFIF's matrix).
      const float change = part.at(0, row, column) - (0.299F * sample(0) + 0.587F * sample(1) + 0.114F * sample(2));
      for (int channel = 0; channel < 3; ++channel) sample(channel) += change;
    }
  }
  return picture;
}

}  // namespace

Finished finish_in_cells(Image restored, const Image& decoded, const JpegModel& model, const CellsOptions& options) {
  if (options.strength != 1) blend_in(decoded, options.strength, restored);
  CellShares shares;
  shares.exact = check_consistent(restored, model, 0).share();
  Finished finished{.image = to_consistent(std::move(restored), model, options.levels), .cells = {}};
  shares.rounded = check_cells(finished.image, model).share();
  finished.cells = shares;
  return finished;
}

JpegSource::JpegSource(const JpegCoefficients& file, const Image& decoded, const FirstCompression* first,
                       const CellsOptions& options)
    : file_(file), picture_(decoded), first_(first), options_(options), model_(first == nullptr ? file : first->file) {
  if (first == nullptr) return;
  first_decoded_ = model_.to_image(decode(model_));
  clamp(first_decoded_);
}

Image JpegSource::filter(const Advance& advance) {
  bool ended = false;
  // Luma alone takes a third of the time that colour takes.
  const double around = !is_part() ? 0 : decoded().channels == picture_.channels ? 0.5 : 0.75;
  const auto part = [&](double from, double to) -> Advance {
    return [&advance, &ended, from, to](double done) {
      ended = ended || (advance && !advance(from + (to - from) * done));
      return !ended;
    };
  };
  if (is_part()) {
    const JpegModel model(file_);
    Image filtered = filter_jpeg(picture_, picture_, model, {}, part(0, around));
    surroundings_ = finish_in_cells(std::move(filtered), picture_, model, {.levels = options_.levels}).image;
    if (ended) return decoded();
  }
  return filter_jpeg(decoded(), decoded(), model_, {}, part(around, 1));
}

Finished JpegSource::finish(Image restored) const {
  if (!is_part()) return finish_in_cells(std::move(restored), decoded(), model_, options_);
  const Image part = finish_in_cells(std::move(restored), decoded(), model_, {.levels = options_.levels}).image;
  Image picture = with_part(surroundings_, part, first_->y, first_->x);
  if (options_.strength != 1) blend_in(picture_, options_.strength, picture);
  clamp(picture);
  const auto steps = static_cast<float>(options_.levels);
  for (float& value : picture.pixels) value = std::round(value * steps) / steps;
  return {.image = std::move(picture), .cells = {}};
}

}  // namespace hourglass
