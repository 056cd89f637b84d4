// Separable linear maps of images along H and W, such as Resize, its gradient (the transposed map), and one after the
// other: for every channel
//   dst[oh,ow] = sum over (h,w) of rows[oh,h] * columns[ow,w] * src[h,w].
//
// A row of dst is made a block of columns at a time, vertically first: the few rows of src that it needs are
// combined into a buffer, and the pixels of that buffer are mixed horizontally (gather). In the middle of an image the
// columns' weights repeat with a short period (polyphase), which the loops use.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/geometry/taps.h"
#include "ops/memory/view.h"
#include "ops/simd/bf16_rows.h"

namespace hourglass::kernels {

class SeparableMap {
 public:
  // Rows of both images are dense. dst has the first channels of src, which may have more. by_pixels: for
  // make_normalized(); throws Error for channels and taps that it has no buffer for.
  SeparableMap(const View& src, const View& dst, const std::vector<TapList>& rows, const std::vector<TapList>& columns,
               bool by_pixels = false);

  [[nodiscard]] const View& src() const { return src_; }
  [[nodiscard]] const View& dst() const { return dst_; }
  // Size of make_row()'s buffer, whole cache lines.
  [[nodiscard]] int64_t buffer_floats() const { return buffer_; }

  // Makes row `oh` of the image, and channel group, whose first source element is *src.
  template <class T, class D>
  void make_row(const T* src, int64_t oh, float* buffer, D* dst) const;

  // Makes pixels [ow, ow + count) of that row, and normalises each channel to (x - center) * factor + offset, for
  // channels-last images; pixels of dst are `stride` elements apart. Coefficients are vectors of `period` elements in
  // which the channels repeat. The weights of every output must sum to 1 on each axis, since the combined rows are
  // normalised before they are gathered. Has its own buffer, for at most kMostChannels channels and taps that span
  // kMostReach pixels.
  template <class T>
  void make_normalized(const T* src, int64_t oh, int64_t ow, int64_t count, const NormalizationCoefficients& k,
                       int64_t period, T* dst, int64_t stride) const;
  static constexpr int64_t kMostChannels = 512, kMostReach = 8;

 private:
  struct Block {
    int64_t begin, end;          // columns of dst
    int64_t src_begin, src_end;  // columns of src that these need
  };
  // The longest range of columns of dst whose weights repeat with a period; the taps of the next period are `step`
  // columns further on in src.
  struct Steady {
    int64_t begin = 0, end = 0, period = 1, step = 0;
  };
  [[nodiscard]] Steady steady_columns() const;
  template <class T>
  bool combine(const T* src, int64_t oh, const Block& block, float* buffer) const;
  template <typename Body>
  void for_stretches(const Block& block, const Body& body) const;
  template <class D>
  void gather(const Block& block, const float* combined, D* dst, int64_t stride) const;

  View src_, dst_;
  bool by_elements_;  // columns are elements, not pixels: where few channels lie side by side
  Taps rows_, columns_;
  int64_t column_, lanes_;  // elements of a column of src, and of dst
  Steady steady_;
  std::vector<Block> blocks_;
  std::vector<int32_t> low_, high_;  // of each column of dst, the columns of src that it needs
  int64_t buffer_ = 0;
};

}  // namespace hourglass::kernels
