// Horizontal bands of a padded image: what a convolution works on when it is cut into pieces that stay in the cache.
//
// A band of output rows sees a band of rows of the padded source. gather() makes that band, padding and all, in any
// layout and type; fold() is its adjoint: it adds what came back on padding to the pixels that the padding showed.
// copy_rows() moves rows between layouts and types. All run in parallel over rows, and the same number of threads gives
// the same bytes; so does any other.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/shape.h"
#include "ops/geometry/padding_mode.h"
#include "ops/geometry/window.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

// Output rows [dst_begin, dst_begin + dst_rows) of image `image`. They see rows [src_begin, src_begin + src_rows) of
// the padded source, of which the next band sees the last few again.
struct Band {
  int64_t image = 0;
  int64_t dst_begin = 0, dst_rows = 0;
  int64_t src_begin = 0, src_rows = 0;
};

// Cuts every image into bands of about `rows` output rows, a multiple of 4 if there are several. Together they see
// every row of the padded source.
std::vector<Band> cut_into_bands(const WindowAxis& h, int64_t images, int64_t rows);

// An activation in memory.
struct Pixels {
  View view;
  DType type = DType::f32;  // or bf16
  void* data = nullptr;
};

// Rows [from_begin, from_begin + rows) of image from_n of `from`, to rows [to_begin, ...) of image to_n of `to`.
void copy_rows(const Pixels& from, int64_t from_n, int64_t from_begin, const Pixels& to, int64_t to_n, int64_t to_begin,
               int64_t rows);

// How the rows and columns of a padded image stand for the image's own.
class PaddedImage {
 public:
  PaddedImage(const Window& window, PaddingMode border);

  // Makes the band's part of the padded source.
  void gather(const Pixels& image, const Band& band, const Pixels& part) const;
  // The same of rows that lie as the image's would.
  class Rows {
   public:
    // Called by the thread that reads what it returns.
    [[nodiscard]] virtual const void* row(int64_t row) const = 0;

   protected:
    ~Rows() = default;
  };
  void gather(const Pixels& image, const Rows& rows, const Band& band, const Pixels& part) const;

  // A row of the image, and the rows of a band's padded gradient that it is the sum of: row r >= 0 of the band itself,
  // or row -1 - r of what the band before left over.
  struct Row {
    int64_t row = 0;
    Dims parts;
  };
  // For each band the rows that it completes. Neighbours overlap by `overlap` rows. Empty when some row's parts lie
  // further apart than that: then the image can't be cut so.
  [[nodiscard]] std::vector<std::vector<Row>> completed_rows(const std::vector<Band>& bands, int64_t overlap) const;

  // Sums the band's gradient, and the overlap that the band before left over, to the rows it completes.
  void fold(const std::vector<Row>& rows, const Pixels& part, const Pixels& left_over, const Pixels& image,
            int64_t n) const;

 private:
  // Columns [begin, end) of a stretch are [begin + shift, end + shift) on the other side.
  struct Stretch {
    int64_t begin = 0, end = 0, shift = 0;
  };
  Dims row_sources_, column_sources_;
  std::vector<Dims> column_parts_;  // of a column of the image: the padded columns that show it
  Stretch inner_;                   // padded columns that continue the image without a break
  Stretch single_;                  // the longest stretch of the image's columns that are shown once
};

}  // namespace hourglass::kernels
