// The transposed blur of diff_dst, which gives the gradient of the convolved, zero-stuffed image of blur last
// (ops/convolution/upsampled/axis.h): four rows are mixed to one, then four neighbouring pixels to one. Even and odd
// columns meet different taps of the filter, so they are made separately.
#pragma once

#include "ops/convolution/upsampled/axis.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

class BlurredGradient {
 public:
  // `dst` is the layout of diff_dst, channels-last.
  BlurredGradient(const BlurAxis& h, const BlurAxis& w, const View& dst, bool is_bf16);

  // Blurs along the columns: makes row r of the zero-stuffed image, pixels [2 * column - 1, 2 * (column + count) + 2),
  // all channels of a pixel side by side. False, and nothing is written, where the row is zero.
  bool blur_columns(const void* diff_dst, int64_t image, int64_t r, int64_t column, int64_t count, float* mixed) const;

  // Then blurs along the row: makes even (phase 0) or odd (phase 1) pixels of columns [column, column + count),
  // `channels` of each from `first` on, pixels `width` floats apart.
  void blur_row(const float* mixed, int64_t phase, int64_t count, int64_t first, int64_t channels, float* to,
                int64_t width) const;

  [[nodiscard]] int64_t mixed_floats(int64_t count) const { return (2 * count + 3) * dst_.c; }

 private:
  std::array<float, 4> h_, w_;  // the blur reversed: weights of elements t - 1 to t + 2
  View dst_;
  bool is_bf16_;
};

}  // namespace hourglass::kernels
