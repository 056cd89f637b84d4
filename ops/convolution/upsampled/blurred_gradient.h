// The gradient of what a convolution of a upsampled image makes (ops/convolution/upsampled/axis.h), blurred: that of
// what was convolved before the blur. Its pixels of even and odd columns meet different taps, so they are made apart.
#pragma once

#include "ops/convolution/upsampled/axis.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

class BlurredGradient {
 public:
  // Of diff_dst, channels-last.
  BlurredGradient(const BlurAxis& h, const BlurAxis& w, const View& dst, bool is_bf16);

  // Blurred along the columns: row r of the zero-stuffed image, pixels [2 * column - 1, 2 * (column + count) + 2), all
  // channels of each side by side. False where that is zero.
  bool blur_columns(const void* diff_dst, int64_t image, int64_t r, int64_t column, int64_t count, float* mixed) const;

  // And along the row: even (phase 0) or odd (phase 1) pixels of columns [column, column + count), `channels` of each
  // from `first` on, `width` floats apart.
  void blur_row(const float* mixed, int64_t phase, int64_t count, int64_t first, int64_t channels, float* to,
                int64_t width) const;

  [[nodiscard]] int64_t mixed_floats(int64_t count) const { return (2 * count + 3) * dst_.c; }

 private:
  std::array<float, 4> h_, w_;  // of the zero-stuffed image's elements t - 1 to t + 2
  View dst_;
  bool is_bf16_;
};

}  // namespace hourglass::kernels
