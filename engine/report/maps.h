// Pictures of what a restoration changed and of what it kept.
#pragma once

#include "engine/image/image.h"
#include "engine/restore/jpeg_model.h"

namespace hourglass {

struct DifferenceMap {
  Image image;          // RGB, of the same size: blue where it became darker, red where brighter, white where neither
  double full_255 = 0;  // grey levels that stand for the full colour
};

// Of the luma. The full colour stands for the 99.5th percentile of the difference, at least two grey levels.
DifferenceMap difference_map(const Image& before, const Image& after);

// One pixel for each 8x8 block of the largest component's grid: pale where all coefficients that cover it come out as
// in the file, darker orange the more of them don't (the full colour from a tenth on).
Image cell_map(const Image& image, const JpegModel& model);

}  // namespace hourglass
