// The arithmetic of Winograd's algorithm F(4x4, 3x3) for one instruction set: the loops that ops/convolution/winograd.cpp
// calls, behind pointers, so that the build stays portable and the CPU decides while running.
// ops/convolution/weight_gradient/products.cpp and pointwise.cpp use its products.
//
// Everything between the transforms is counted in words of 32 bits: one f32, or two bf16 that a dot-product instruction
// multiplies and adds at once. A transformed tensor is 36 matrices, one per point of the transform, `point` words
// apart.
#pragma once

#include <cstdint>

namespace hourglass::detail {

// C[m][n] (+)= sum over k of A[m][k] * B[k][n], and more that is added to it, where there is. Addresses in words; n
// runs over whole vectors of 16.
struct WinogradProduct {
  struct Addend {
    const float* at = nullptr;
    int64_t row = 0;  // from m to m + 1
  };

  const uint32_t* a = nullptr;
  int64_t a_row = 0, a_step = 0;  // from m to m + 1, and from k to k + 1
  const uint32_t* b = nullptr;
  int64_t b_step = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  int64_t rows = 0, vectors = 0, depth = 0;
  bool add = false;
  Addend more[2] = {};
};

// Pixels are addresses of their first channel; channels lie side by side. is_bf16 says what the image holds, and the
// words with it. A pixel outside the image is an address of zeros where it is read, null where it is written.
struct WinogradLoops {
  const char* isa = nullptr;  // as oneDNN names it: "avx512_core"

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

  void (*multiply)(bool is_bf16, const WinogradProduct& product);

  // One tile's products to its 4x4 pixels: `channels` from channel `first` on; bias is null or has all channels.
  void (*transform_dst)(bool is_bf16, const float* products, int64_t point, int64_t first, int64_t channels,
                        const float* bias, void* const* pixels);
  // The products of all tiles to weights[tap][k][n], rows [k_begin, k_end).
  void (*transform_grad)(const float* products, int64_t point, int64_t c_row, int64_t n_count, float* weights,
                         int64_t tap_step, int64_t k_begin, int64_t k_end);
  // `count` pixels to rows of words, `row` words apart: `channels` from channel `first` on side by side, up to a
  // multiple of 16. bf16 word c of row k holds channel first + c of pixels 2k and 2k + 1; there count is even.
  void (*pack)(bool is_bf16, const void* const* pixels, int64_t count, int64_t first, int64_t channels, uint32_t* words,
               int64_t row);
  // dst += src, a pixel.
  void (*add_pixel)(bool is_bf16, const void* src, void* dst, int64_t channels);
};

// For AVX-512, whose bf16 needs AVX512_BF16; for AVX2 with FMA, without bf16. Null where the compiler can't make them.
const WinogradLoops* winograd_avx512();
const WinogradLoops* winograd_avx2();

}  // namespace hourglass::detail
