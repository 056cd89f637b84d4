// The sliding window of convolution and pooling: which source pixels an output pixel sees.
//
// Per axis, tap k of output o reads source position o * stride - pad_begin + k * dilation, or padding where that lies
// outside [0, src). The canonical attributes are ONNX's: kernel_shape, strides, pads, dilations, auto_pad, ceil_mode;
// an empty list means the default for the rank, an attribute that an op does not declare has its default.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "graph/attrs.h"

namespace hourglass::kernels {

struct WindowAxis {
  int64_t src = 0, dst = 0;
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t pad_begin = 0, pad_end = 0;  // as given; with ceil_mode the last window may reach further

  // Whether each output sees one source position, its own.
  [[nodiscard]] bool is_pointwise() const { return kernel == 1 && stride == 1 && pad_begin == 0 && pad_end == 0; }
  // From the first tap to the last.
  [[nodiscard]] int64_t extent() const { return (kernel - 1) * dilation + 1; }
  [[nodiscard]] int64_t position(int64_t o, int64_t k) const { return o * stride - pad_begin + k * dilation; }
  // The taps [first, second) of output o that read the source and not padding.
  [[nodiscard]] std::pair<int64_t, int64_t> taps(int64_t o) const {
    const int64_t start = o * stride - pad_begin;
    const int64_t first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
    const int64_t end = start >= src ? 0 : std::min(kernel, (src - 1 - start) / dilation + 1);
    return {first, std::max(first, end)};
  }
  // The outputs [first, second) whose window touches source positions [begin, end), perhaps with a gap of a dilation.
  [[nodiscard]] std::pair<int64_t, int64_t> outputs(int64_t begin, int64_t end) const {
    const int64_t low = begin + pad_begin - extent() + 1;
    const int64_t first = low <= 0 ? 0 : (low + stride - 1) / stride;
    return {first, std::max(first, std::min(dst, (end - 1 + pad_begin) / stride + 1))};
  }
  // How many taps of output o lie in the source or in its padding; fewer than kernel where ceil_mode overhangs.
  [[nodiscard]] int64_t padded_taps(int64_t o) const {
    return std::min(kernel, (src + pad_end - 1 - (o * stride - pad_begin)) / dilation + 1);
  }
  // The padding after the source that makes the last window fit: at least pad_end.
  [[nodiscard]] int64_t reach_end() const { return std::max(pad_end, position(dst - 1, kernel - 1) - (src - 1)); }
  [[nodiscard]] bool overhangs() const { return reach_end() > pad_end; }
};

struct Window {
  WindowAxis h, w;

  // As oneDNN takes them: a dilation of 0 is a dense kernel.
  [[nodiscard]] Dims strides() const { return {h.stride, w.stride}; }
  [[nodiscard]] Dims kernel() const { return {h.kernel, w.kernel}; }
  [[nodiscard]] Dims dilations() const { return {h.dilation - 1, w.dilation - 1}; }
  [[nodiscard]] Dims padding_l() const { return {h.pad_begin, w.pad_begin}; }
  [[nodiscard]] Dims padding_r() const { return {h.reach_end(), w.reach_end()}; }
};

// src: [N,C,H,W]; kernel: {KH, KW}. Throws Error for another rank, for attributes of the wrong length or range, and
// when no window fits.
Window window_of(const Attrs& attrs, const Shape& src, const Dims& kernel);

// The window of pooling, with the kernel from kernel_shape.
Window pooling_window(const Attrs& attrs, const Shape& src);

// Throws Error where an output sees nothing but padding: pooling would take the maximum or mean of nothing.
void require_source_in_every_window(const Window& window);

}  // namespace hourglass::kernels
