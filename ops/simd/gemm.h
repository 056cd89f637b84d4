// Matrix products on vectors, C (+)= A * B, for one instruction set: the loops behind pointers, so that the build stays
// portable and the CPU decides while running. The convolutions that are made of products of pixels and weights call
// them: Winograd's algorithm, pointwise ones, those of upsampled sources, gradients of weights.
//
// Operands are counted in words of 32 bits: one f32, or two bf16 that a dot-product instruction multiplies and adds at
// once. Sums are f32.
#pragma once

#include <cstdint>

namespace hourglass {
enum class DType : uint8_t;  // graph/shape.h, which files of one instruction set may not include
}

namespace hourglass::kernels {

// C[m][n] (+)= sum over k of A[m][k] * B[k][n], and more that is added to it, where there is. Addresses in words; n
// runs over whole vectors of 16.
struct Gemm {
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

struct GemmLoops {
  const char* isa = nullptr;  // as oneDNN names it: "avx512_core"

  void (*multiply)(bool is_bf16, const Gemm& gemm);
  // `count` pixels to rows of words, `row` words apart: `channels` from channel `first` on side by side, up to a
  // multiple of 16. A pixel is the address of its first channel, or of zeros. bf16 word c of row k holds channel
  // first + c of pixels 2k and 2k + 1; there count is even.
  void (*pack)(bool is_bf16, const void* const* pixels, int64_t count, int64_t first, int64_t channels, uint32_t* words,
               int64_t row);
  // dst += src, a pixel.
  void (*add_pixel)(bool is_bf16, const void* src, void* dst, int64_t channels);
};

// The loops for `type` on this CPU, as far as oneDNN may use it: for f32 AVX-512 or AVX2 with FMA, for bf16
// AVX512_BF16. Null where there are none.
const GemmLoops* gemm_loops(DType type);
// For AVX-512, whose bf16 needs AVX512_BF16; for AVX2 with FMA, without bf16. Null where the compiler can't make them.
const GemmLoops* gemm_avx512();
const GemmLoops* gemm_avx2();

// Words of depth of a product whose B, of four vectors a row, stays in the first-level cache.
constexpr int64_t kGemmDepth = 72;
// The product, in even pieces of at most so much depth: the sums are the same.
void multiply_in_pieces(const GemmLoops& loops, bool is_bf16, const Gemm& gemm);

// Pixels side by side, each a row of words, and weights that lie row by row.
struct PixelProduct {
  const uint32_t* pixels;
  int64_t step;  // words from a pixel to the next
  const uint32_t* weights;
  int64_t depth, columns;
};
// Of `count` pixels, to sums that are `row` floats apart: their products and more sums, those that are there among them
// or not.
void multiply_pixels(const GemmLoops& loops, bool is_bf16, const PixelProduct& product, int64_t count, float* sums,
                     int64_t row, const Gemm::Addend& more = {}, const Gemm::Addend& and_more = {});

}  // namespace hourglass::kernels
