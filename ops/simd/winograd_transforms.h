// The tile and filter transforms of Winograd's algorithm F(4x4, 3x3) for one instruction set, behind pointers as
// ops/simd/gemm.h has its matrix products. ops/convolution/winograd.cpp, whose header has the equation, calls both.
//
// A transformed tensor is 36 matrices of words (gemm.h), one for each point of the transform, `point` words apart.
// Pixels are given by the addresses of their first channels; channels are contiguous. is_bf16 is the element type of
// the image and of the words. A pixel outside the image is an address of zeros where it is read, and null where it is
// written.
#pragma once

#include <cstdint>

namespace hourglass {
enum class DType : uint8_t;  // graph/shape.h, which files of one instruction set may not include
}

namespace hourglass::kernels {

struct WinogradTransforms {
  // G g G^T: weights[c_step * c + n_step * n + tap_step * tap] to words with `columns` columns (a multiple of 16), for
  // rows [k_begin, k_end): row k is channel k, or in bf16 channels 2k and 2k + 1. The columns are cut into panels of
  // `width` (the last one may be narrower); each panel is contiguous, [k][n], as a product reads its operand B.
  struct Weights {
    const void* weights = nullptr;
    int64_t c_step = 0, n_step = 0, tap_step = 0;
    bool flip = false;  // whether the filter is rotated by 180 degrees
    int64_t c_count = 0, n_count = 0, columns = 0, width = 0;
    int64_t depth = 0;  // rows in all
    uint32_t* words = nullptr;
    int64_t point = 0;
  };
  void (*transform_weights)(bool is_bf16, const Weights& weights, int64_t k_begin, int64_t k_end);

  // B^T d B: the 6x6 source pixels of one tile to a row of words: channels side by side, rounded up to a multiple of
  // 16.
  void (*transform_src)(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point);
  // The same for two tiles: in bf16 word c holds channel c of both tiles, in f32 they are two rows, `row` words apart.
  void (*transform_src_pair)(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                             int64_t row);
  // A dY A^T: the 4x4 pixels of diff_dst of two tiles, in the same layout.
  void (*transform_diff_pair)(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                              int64_t row);

  // A^T m A: one tile's products to its 4x4 pixels, `channels` of them from channel `first` on. bias is null or has all
  // channels.
  void (*transform_dst)(bool is_bf16, const float* products, int64_t point, int64_t first, int64_t channels,
                        const float* bias, void* const* pixels);
  // G^T m G: the products of all tiles to diff_weights[tap][k][n], rows [k_begin, k_end).
  void (*transform_grad)(const float* products, int64_t point, int64_t c_row, int64_t n_count, float* weights,
                         int64_t tap_step, int64_t k_begin, int64_t k_end);
};

// The transforms for `type` on this CPU, where gemm_loops(type) is there; null elsewhere.
const WinogradTransforms* winograd_transforms(DType type);
// The transforms of one instruction set, as gemm_avx512() and gemm_avx2().
const WinogradTransforms* winograd_transforms_avx512();
const WinogradTransforms* winograd_transforms_avx2();

}  // namespace hourglass::kernels
