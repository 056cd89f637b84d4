// The transforms of Winograd's algorithm F(4x4, 3x3) for one instruction set, behind pointers as ops/simd/gemm.h has
// its products. ops/convolution/winograd.cpp calls both.
//
// A transformed tensor is 36 matrices of words (gemm.h), one per point of the transform, `point` words apart. Pixels
// are addresses of their first channel; channels lie side by side. is_bf16 says what the image holds, and the words
// with it. A pixel outside the image is an address of zeros where it is read, null where it is written.
#pragma once

#include <cstdint>

namespace hourglass {
enum class DType : uint8_t;  // graph/shape.h, which files of one instruction set may not include
}

namespace hourglass::kernels {

struct WinogradTransforms {
  // weights[c_step * c + n_step * n + tap_step * tap] -> words of `columns` columns (a multiple of 16), for the rows k
  // of [k_begin, k_end): channels k, or 2k and 2k + 1. The columns are cut into panels of `width`, the last one may be
  // narrower; each panel is [k][n] by itself, so that a product reads it from one end to the other.
  struct Weights {
    const void* weights = nullptr;
    int64_t c_step = 0, n_step = 0, tap_step = 0;
    bool flip = false;  // the filter turned by half a turn
    int64_t c_count = 0, n_count = 0, columns = 0, width = 0;
    int64_t depth = 0;  // rows in all
    uint32_t* words = nullptr;
    int64_t point = 0;
  };
  void (*transform_weights)(bool is_bf16, const Weights& weights, int64_t k_begin, int64_t k_end);

  // The source of one tile, 6x6 pixels, to a row of words: channels side by side, up to a multiple of 16.
  void (*transform_src)(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point);
  // The sources of two tiles: bf16 word c holds channel c of both; f32 has two rows, `row` words apart.
  void (*transform_src_pair)(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                             int64_t row);
  // The gradients of two tiles, 4x4 pixels each, likewise.
  void (*transform_diff_pair)(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                              int64_t row);

  // One tile's products to its 4x4 pixels: `channels` from channel `first` on; bias is null or has all channels.
  void (*transform_dst)(bool is_bf16, const float* products, int64_t point, int64_t first, int64_t channels,
                        const float* bias, void* const* pixels);
  // The products of all tiles to weights[tap][k][n], rows [k_begin, k_end).
  void (*transform_grad)(const float* products, int64_t point, int64_t c_row, int64_t n_count, float* weights,
                         int64_t tap_step, int64_t k_begin, int64_t k_end);
};

// For `type` on this CPU, where gemm_loops() has products for it. Null elsewhere.
const WinogradTransforms* winograd_transforms(DType type);
// By the same instructions as gemm_avx512() and gemm_avx2().
const WinogradTransforms* winograd_transforms_avx512();
const WinogradTransforms* winograd_transforms_avx2();

}  // namespace hourglass::kernels
