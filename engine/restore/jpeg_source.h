// What of a JPEG is restored, and where the result goes.
//
//   JpegSource source(file, decoded, first, {.levels = 255});
//   const Image filtered = source.filter(advance);
//   const Finished result = source.finish(filtered);        // or of what a network makes of it
//
// Mostly that is the picture. Of one that was compressed twice it is what the first file stated (first_compression.h),
// and the result is set into what the second file alone gives: the pixels around the first file's blocks, and the
// colours where the first one's can't be told.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/image/image.h"
#include "engine/image/jpeg.h"
#include "engine/restore/first_compression.h"
#include "engine/restore/jpeg_model.h"
#include "engine/restore/task.h"

namespace hourglass {

// How a result is brought into a file's cells.
struct CellsOptions {
  int levels = 255;     // of its samples, see levels_of()
  double strength = 1;  // how much of the change is made, from 0, the decoded JPEG, to 1
};

// What the filter leaves (or a fit, or a lesson) as a result: decoded + strength (restored - decoded), moved into the
// file's cells, on the grid of the levels. A blend of two pictures that lie in the cells lies in them too.
Finished finish_in_cells(Image restored, const Image& decoded, const JpegModel& model, const CellsOptions& options);

// Bytes that a source of a picture that was compressed twice holds besides filter_memory() or learn_memory(): the first
// file and its pixels, and what they are set into.
constexpr std::size_t first_memory(int64_t pixels, int channels) {
  return static_cast<std::size_t>(pixels) * (channels == 1 ? 10 : 30);
}

class JpegSource {
 public:
  // first: null for a file that was compressed once. All that is referred to must outlive the source.
  JpegSource(const JpegCoefficients& file, const Image& decoded, const FirstCompression* first,
             const CellsOptions& options);

  // decoded() after nonlocal Bayes and the file's cells (filter_jpeg()); before that, what the result is set into. What
  // there is by then, where it is ended early.
  Image filter(const Advance& advance);
  [[nodiscard]] bool is_part() const { return first_ != nullptr; }

  [[nodiscard]] const JpegModel& model() const { return model_; }
  [[nodiscard]] const Image& decoded() const { return first_ == nullptr ? picture_ : first_decoded_; }
  // Of what has been restored from decoded(), the picture. To be called after filter(). A picture that was compressed
  // twice lies in no cells of the file, and none are counted.
  [[nodiscard]] Finished finish(Image restored) const;

 private:
  const JpegCoefficients& file_;
  const Image& picture_;
  const FirstCompression* first_;
  CellsOptions options_;
  Image first_decoded_, surroundings_;
  JpegModel model_;
};

}  // namespace hourglass
