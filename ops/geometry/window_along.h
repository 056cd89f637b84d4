// Turns the window attributes of a 1-D or 3-D convolution or pooling (kernel_shape, strides, pads, ...) into those of a
// 2-D one along two chosen axes.
#pragma once

#include <cstddef>

#include "graph/attrs.h"

namespace hourglass::kernels {

// Stands for an axis of extent 1, on which the window is 1 wide and does not move.
inline constexpr std::size_t kNoAxis = ~std::size_t{0};

// `attrs` for images whose height and width are the axes h and w, or kNoAxis, of the `of` spatial axes that the lists
// kernel_shape, strides, dilations, pads and output_padding are for. Throws Error for a list of another length.
//   window_along(attrs, 1, kNoAxis, 0)    a signal [N,C,W] as an image of one row
//   window_along(attrs, 3, 1, 2)          the slices of a volume [N,C,D,H,W]
Attrs window_along(const Attrs& attrs, std::size_t of, std::size_t h, std::size_t w);

}  // namespace hourglass::kernels
