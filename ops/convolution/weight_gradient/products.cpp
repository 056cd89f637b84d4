#include "ops/convolution/weight_gradient/products.h"

#include <algorithm>

namespace hourglass::kernels {

ProductSides product_sides(const Convolution& conv) {
  const auto& [h, w] = conv.window;
  const auto leaves = [](const WindowAxis& axis) {
    return axis.pad_begin != 0 || axis.position(axis.dst - 1, axis.kernel - 1) >= axis.src;
  };
  ProductSides sides{.src_channels = conv.src.shape[1],
                     .dst_channels = conv.dst.shape[1],
                     .swapped = h.kernel * w.kernel == 1 && conv.dst.shape[1] < conv.src.shape[1],
                     .width = w.dst,
                     .phase_width = w.dst + (w.extent() - 1) / w.stride,
                     .phases = std::min(w.stride, w.extent()),
                     .row_stride = h.stride,
                     .column_stride = w.stride,
                     .padded = leaves(h) || leaves(w),
                     .taps = {}};
  for (int64_t i = 0; i < h.kernel; ++i) {
    for (int64_t j = 0; j < w.kernel; ++j) {
      const int64_t column = j * w.dilation;
      sides.taps.push_back({.row = i * h.dilation, .phase = column % w.stride, .position = column / w.stride});
    }
  }
  return sides;
}

}  // namespace hourglass::kernels
