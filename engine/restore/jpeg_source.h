// What of a JPEG is restored, and where the result goes.
//
//   JpegSource source(file, decoded, first, {.levels = 255});
//   if (!source.surround(advance)) ...                      // ended early
//   const Image filtered = filter_jpeg(source.decoded(), source.decoded(), source.model(), {}, advance);
//   const Finished result = source.finish(filtered);
//
// Mostly that is the picture. Of one that was compressed twice it is the luma that the first file stated
// (first_compression.h), and the result is set into what the second file alone gives: its colours, and the pixels
// around the first file's blocks.
#pragma once

#include <optional>

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
// file's cells, on the grid of the levels. Cells are convex, so that less strength leads out of none.
Finished finish_in_cells(const Image& restored, const Image& decoded, const JpegModel& model,
                         const CellsOptions& options);

class JpegSource {
 public:
  // first: null for a file that was compressed once. All that is referred to must outlive the source.
  JpegSource(const JpegCoefficients& file, const Image& decoded, const FirstCompression* first,
             const CellsOptions& options);

  // Makes what the result is set into, by the filter; nothing to do where the source is the picture. False where that
  // was ended early.
  bool surround(const Advance& advance);
  [[nodiscard]] bool is_part() const { return first_ != nullptr; }

  [[nodiscard]] const JpegModel& model() const { return model_; }
  [[nodiscard]] const Image& decoded() const { return first_ == nullptr ? picture_ : first_decoded_; }
  // Of what has been restored from decoded(), the picture. Where it was compressed twice, it lies in no cells of the
  // file, and none are counted.
  [[nodiscard]] Finished finish(const Image& restored) const;

 private:
  const JpegCoefficients& file_;
  const Image& picture_;
  const FirstCompression* first_;
  CellsOptions options_;
  Image first_decoded_, surroundings_;
  JpegModel model_;
};

}  // namespace hourglass
