// Convolutions of 3x3 filters with stride 1 by Winograd's algorithm F(4x4, 3x3), forward and both gradients: a quarter
// of the multiplications, in f32 and in bf16 (products of bf16, sums and transforms in f32).
//
// A tile of 6x6 source pixels and a filter are transformed to 36 points each; there the convolution is a product per
// point, 36 matrix products over all tiles; and what they give is transformed back to 4x4 output pixels. The padding is
// made as a tile is read, the gradient's padding is added where it belongs, so that any border costs no copy.
// Activations are channels-last, weights [KH][KW][C][OC]. The same number of threads gives the
// same bytes.
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"
#include "ops/simd/winograd_loops.h"

namespace hourglass::detail {

// The loops for `type` on this CPU, as far as oneDNN may use it. Null where there are none, or where AMX is faster.
const WinogradLoops* winograd_loops(DType type);

// Words of depth of a product whose right side, of four vectors a row, stays in the first-level cache.
constexpr int64_t kProductDepth = 72;
// The product, in even pieces of at most so much depth: the sums are the same.
void multiply_in_pieces(const WinogradLoops& loops, bool is_bf16, const WinogradProduct& product);

// Pixels side by side, each a row of words, and weights that lie row by row.
struct PixelProduct {
  const uint32_t* pixels;
  int64_t step;  // words from a pixel to the next
  const uint32_t* weights;
  int64_t depth, columns;
};
// Of `count` pixels, to sums that are `row` floats apart: their products and more sums, those that are there among them
// or not.
void multiply_pixels(const WinogradLoops& loops, bool is_bf16, const PixelProduct& product, int64_t count, float* sums,
                     int64_t row, const WinogradProduct::Addend& more = {},
                     const WinogradProduct::Addend& and_more = {});

// Absent where the convolution is of another kind, the CPU lacks AVX2 (for bf16: AVX512_BF16), or something
// else is faster.
std::optional<KernelPlan> plan_winograd(const Convolution& conv);

}  // namespace hourglass::detail
