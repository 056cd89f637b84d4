// Copies horizontal bands of a padded image out of the image (gather) and adds them back (fold): what a convolution
// works on when the image is cut into pieces that stay in the cache.
//
// A band of output rows sees a band of rows of the padded source, which overlaps the next one (halo). gather() makes
// that band, border included, in any layout and element type. fold() is its adjoint, for gradients: it adds each padded
// pixel to the image's pixel that it shows, and completes an image's row in the band that holds the last of its padded
// rows; the overlap with the next band is carried over. copy_rows() moves rows between layouts and types. All run in
// parallel over rows; the bytes do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "graph/shape.h"
#include "ops/geometry/padding_mode.h"
#include "ops/geometry/window.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

// Output rows [dst_begin, dst_begin + dst_rows) of image `image`. They see rows [src_begin, src_begin + src_rows) of
// the padded source; the next band sees the last few of these again.
struct Band {
  int64_t image = 0;
  int64_t dst_begin = 0, dst_rows = 0;
  int64_t src_begin = 0, src_rows = 0;
};

// Rows of the padded source that neighbouring bands share.
inline int64_t overlap_of(const WindowAxis& h) { return std::max<int64_t>(0, h.extent() - h.stride); }

// Cuts every image into bands of about `rows` output rows, a multiple of 4 if there are several; more where a padded
// row would else lie in three bands. Together they cover every row of the padded source, and only neighbours overlap.
std::vector<Band> cut_into_bands(const WindowAxis& h, int64_t images, int64_t rows);

// An activation in memory: layout, element type, address.
struct Pixels {
  View view;
  DType type = DType::f32;  // or bf16
  void* data = nullptr;
};

// Copies rows [from_begin, from_begin + rows) of image from_n of `from` to rows [to_begin, ...) of image to_n of `to`.
void copy_rows(const Pixels& from, int64_t from_n, int64_t from_begin, const Pixels& to, int64_t to_n, int64_t to_begin,
               int64_t rows);

// Which row and column of the image each row and column of the padded image shows.
class PaddedImage {
 public:
  PaddedImage(const Window& window, PaddingMode border);

  // Copies the band's rows of the padded source to `dst`.
  void gather(const Pixels& image, const Band& band, const Pixels& dst) const;
  // The same, with rows that are made while they are read. They lie in memory as the image's rows would.
  class Rows {
   public:
    // Called by the thread that reads what it returns.
    [[nodiscard]] virtual const void* row(int64_t row) const = 0;

   protected:
    ~Rows() = default;
  };
  void gather(const Pixels& image, const Rows& rows, const Band& band, const Pixels& dst) const;

  // A row of the image as a sum of padded rows. A term r >= 0 is row r of the band, a term -1 - r is row r of the
  // overlap that the band before left over.
  struct Row {
    int64_t row = 0;
    Dims terms;
  };
  // For each band, the rows of the image that it completes. Neighbouring bands overlap by `overlap` rows. Empty where
  // the gradient of some row would need rows of an earlier band that are not in the overlap (wrap; a low last band).
  [[nodiscard]] std::vector<std::vector<Row>> completed_rows(const std::vector<Band>& bands, int64_t overlap) const;

  // Adds up the band's gradient, and the overlap left over by the band before, to the rows that this band completes.
  void fold(const std::vector<Row>& rows, const Pixels& gradient, const Pixels& left_over, const Pixels& image,
            int64_t n) const;

 private:
  // Columns [begin, end), which are columns [begin + shift, end + shift) on the other side (image or padded image).
  struct Stretch {
    int64_t begin = 0, end = 0, shift = 0;
  };
  Dims row_sources_, column_sources_;
  std::vector<Dims> column_terms_;  // of each column of the image, the padded columns that show it
  Stretch inner_;                   // padded columns that are the image itself
  Stretch single_;                  // the longest stretch of the image's columns that are shown once
};

}  // namespace hourglass::kernels
