// Copies a box (a sub-tensor) of one activation into another, each in its own layout: the core of Concat,
// Slice and Split. Channels may move between lanes of a blocked layout.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "ops/loops/parallel.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

// Along dimension d (N, C, H, W) element i of the box is at src_start + i * src_step of src and dst_start + i *
// dst_step of dst. Channels have step 1.
struct Box {
  std::array<int64_t, 4> extent;
  std::array<int64_t, 4> src_start{}, dst_start{};
  std::array<int64_t, 4> src_step{1, 1, 1, 1}, dst_step{1, 1, 1, 1};
};

// Copies `lanes` neighbouring elements of `pixels` pixels, with strides between pixels.
template <class T>
void copy_lanes(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t lanes, int64_t pixels) {
  const auto fixed = [&](auto count) {
    for (int64_t i = 0; i < pixels; ++i) std::memcpy(dst + i * dst_stride, src + i * src_stride, count() * sizeof(T));
  };
  if (src_stride == lanes && dst_stride == lanes) {
    std::memcpy(dst, src, static_cast<std::size_t>(lanes * pixels) * sizeof(T));
    return;
  }
  // A constant size makes memcpy one or two moves.
  switch (lanes) {
    case 1: return fixed(std::integral_constant<std::size_t, 1>{});
    case 4: return fixed(std::integral_constant<std::size_t, 4>{});
    case 8: return fixed(std::integral_constant<std::size_t, 8>{});
    case 12: return fixed(std::integral_constant<std::size_t, 12>{});
    case 16: return fixed(std::integral_constant<std::size_t, 16>{});
    case 32: return fixed(std::integral_constant<std::size_t, 32>{});
    case 128: return fixed(std::integral_constant<std::size_t, 128>{});
    default: return fixed([lanes] { return static_cast<std::size_t>(lanes); });
  }
}

template <class T>
void copy_box(const View& s, const T* src, const View& d, T* dst, const Box& box) {
  if (box.extent[3] == 0) return;
  if (s.block == 1 && d.block == 1) {
    // Plane by plane: in row-major layouts the rows of one channel are contiguous. Where whole rows are copied, they
    // are one run.
    const int64_t width = box.extent[3];
    const bool whole = s.stride_h == width && d.stride_h == width && s.stride_w == 1 && d.stride_w == 1 &&
                       box.src_step[2] == 1 && box.dst_step[2] == 1 && box.src_step[3] == 1 && box.dst_step[3] == 1;
    constexpr int64_t kRows = 32;
    const int64_t chunks = (box.extent[2] + kRows - 1) / kRows;
    parallel_for(box.extent[0] * box.extent[1] * chunks, [&](int64_t i) {
      const int64_t n = i / chunks / box.extent[1], c = i / chunks % box.extent[1];
      const int64_t begin = i % chunks * kRows, rows = std::min(kRows, box.extent[2] - begin);
      const auto copy_row = [&](int64_t h, int64_t pixels) {
        copy_lanes(src + s.offset(box.src_start[0] + n * box.src_step[0], box.src_start[1] + c,
                                  box.src_start[2] + h * box.src_step[2], box.src_start[3]),
                   s.stride_w * box.src_step[3],
                   dst + d.offset(box.dst_start[0] + n * box.dst_step[0], box.dst_start[1] + c,
                                  box.dst_start[2] + h * box.dst_step[2], box.dst_start[3]),
                   d.stride_w * box.dst_step[3], 1, pixels);
      };
      if (whole) {
        copy_row(begin, rows * width);
      } else {
        for (int64_t h = begin; h < begin + rows; ++h) copy_row(h, width);
      }
    });
    return;
  }
  parallel_for(box.extent[0] * box.extent[2], [&](int64_t i) {
    const int64_t n = i / box.extent[2], h = i % box.extent[2];
    const T* src_row = src + s.offset(box.src_start[0] + n * box.src_step[0], 0, box.src_start[2] + h * box.src_step[2],
                                      box.src_start[3]);
    T* dst_row = dst + d.offset(box.dst_start[0] + n * box.dst_step[0], 0, box.dst_start[2] + h * box.dst_step[2],
                                box.dst_start[3]);
    // Runs of channels that lie side by side in both layouts.
    for (int64_t c = 0; c < box.extent[1];) {
      const int64_t sc = box.src_start[1] + c, dc = box.dst_start[1] + c;
      const int64_t lanes = std::min({s.block - sc % s.block, d.block - dc % d.block, box.extent[1] - c});
      copy_lanes(src_row + sc / s.block * s.stride_g + sc % s.block, s.stride_w * box.src_step[3],
                 dst_row + dc / d.block * d.stride_g + dc % d.block, d.stride_w * box.dst_step[3], lanes,
                 box.extent[3]);
      c += lanes;
    }
  });
}

// Zeroes the padding lanes after the last channel.
template <class T>
void zero_padding(const View& v, T* data) {
  const int64_t lanes = v.lanes(v.groups - 1);
  if (lanes == v.block) return;
  parallel_for(v.n * v.h, [&](int64_t i) {
    T* row = data + v.offset(i / v.h, v.groups - 1, i % v.h, 0) + lanes;
    for (int64_t w = 0; w < v.w; ++w) {
      std::memset(row + w * v.stride_w, 0, static_cast<std::size_t>(v.block - lanes) * sizeof(T));
    }
  });
}

// Copies memory, in parallel; nothing where dst is src.
inline void copy_bytes(const void* src, void* dst, int64_t bytes) {
  if (src == dst) return;
  parallel_ranges(bytes, 1 << 14, [&](int64_t begin, int64_t end) {
    std::memcpy(static_cast<char*>(dst) + begin, static_cast<const char*>(src) + begin,
                static_cast<std::size_t>(end - begin));
  });
}

// Zeroes all of a dense layout, in parallel.
template <class T>
void zero_all(T* data, int64_t count) {
  parallel_ranges(count, 4096, [&](int64_t begin, int64_t end) {
    std::memset(data + begin, 0, static_cast<std::size_t>(end - begin) * sizeof(T));
  });
}

}  // namespace hourglass::kernels
