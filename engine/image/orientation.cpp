#include "engine/image/orientation.h"

namespace hourglass {
namespace {

// Two quarter turns are each other's inverse, all else is its own.
int inverse(int orientation) {
  constexpr int kQuarter = 6, kThreeQuarters = 8;
  return orientation == kQuarter ? kThreeQuarters : orientation == kThreeQuarters ? kQuarter : orientation;
}

}  // namespace

// EXIF 2.32, 4.6.4 A: the orientation names the sides on which the file's first row and first column are seen.
Image upright(const Image& image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool swapped = orientation >= 5;  // the first row is seen as a column
  // Whether the file's rows are seen from the bottom (or the right), its columns from the right (or the bottom).
  const bool rows_back = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool columns_back = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image seen(swapped ? image.height : image.width, swapped ? image.width : image.height, image.channels);
  for (int c = 0; c < image.channels; ++c) {
    for (int64_t y = 0; y < seen.height; ++y) {
      for (int64_t x = 0; x < seen.width; ++x) {
        const int64_t row = swapped ? x : y, column = swapped ? y : x;
        seen.at(c, y, x) =
            image.at(c, rows_back ? image.height - 1 - row : row, columns_back ? image.width - 1 - column : column);
      }
    }
  }
  return seen;
}

bool turn_like(Image& image, const Metadata& own, const Metadata& other) {
  const int from = exif_orientation(own.exif), to = exif_orientation(other.exif);
  if (from == to) return false;
  image = upright(upright(image, from), inverse(to));
  return true;
}

}  // namespace hourglass
