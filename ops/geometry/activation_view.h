// View: a 4-D activation as our own loops see it, [N][ceil(C/block)][H][W][block].
//
// This one form covers every layout that activations take here: row-major NCHW has block = 1, channels-last has block =
// C in one group, nChw8c and nChw16c have block = 8 and 16. Lanes c >= C of a blocked layout are padding: they hold
// zeros, and whoever writes an activation writes zeros there (oneDNN's kernels count on it).
//
// Numbers alone; ops/memory/view.h makes a View of oneDNN's memory descriptor.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hourglass::kernels {

struct View {
  int64_t n = 0, c = 0, h = 0, w = 0;
  int64_t block = 1;   // channels that lie side by side
  int64_t groups = 0;  // ceil(c / block)
  int64_t stride_n = 0, stride_g = 0, stride_h = 0,
          stride_w = 0;  // in elements; the channel within a group has stride 1

  // Where pixel (n, h, w) of channel group g starts.
  [[nodiscard]] int64_t offset(int64_t in, int64_t g, int64_t ih, int64_t iw) const {
    return in * stride_n + g * stride_g + ih * stride_h + iw * stride_w;
  }
  // Channels of group g that are real: block, or fewer in the last group.
  [[nodiscard]] int64_t lanes(int64_t g) const { return std::min(block, c - g * block); }
  // Whether a row's pixels follow each other with all their channels.
  [[nodiscard]] bool is_channels_last() const { return groups == 1 && block == c && stride_w == c; }
  // Whether rows are dense: a row of w pixels is w * block consecutive elements.
  [[nodiscard]] bool dense_rows() const { return stride_w == block; }
};

}  // namespace hourglass::kernels
