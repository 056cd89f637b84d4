// Matrix products C (+)= A * B by vector instructions: the GEMM micro-kernel that the convolutions share (Winograd,
// pointwise, upsampled, weight gradients). A micro-kernel keeps a block of C in registers for all of K, broadcasts
// elements of A and loads vectors of B; callers pack their operands and cut K so that B stays in the first-level cache
// (Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication"). The loops of each instruction set
// are behind pointers, so the build stays portable and the CPU decides at run time.
//
// Operands are counted in words of 32 bits: one f32, or two bf16 of neighbouring k that a dot-product instruction
// multiplies and adds at once. Sums are f32.
#pragma once

#include <cstdint>

namespace hourglass {
enum class DType : uint8_t;  // graph/shape.h, which files of one instruction set may not include
}

namespace hourglass::kernels {

// Columns and packed words are counted in whole vectors of so many, on every CPU.
constexpr int64_t kGemmLanes = 16;

// C[m][n] (+)= sum over k of A[m][k] * B[k][n], plus up to two further matrices. `rows` is M, `vectors` is N in whole
// vectors of 16, 1 to 4 of them, `depth` is K in words. A is read word by word, so it may have any strides; rows of B
// and C are contiguous.
struct Gemm {
  struct Addend {
    const float* at = nullptr;
    int64_t row = 0;  // distance from row m to m + 1
  };

  const uint32_t* a = nullptr;
  int64_t a_row = 0, a_step = 0;  // distance from m to m + 1, and from k to k + 1, in words
  const uint32_t* b = nullptr;
  int64_t b_step = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  int64_t rows = 0, vectors = 0, depth = 0;
  bool add = false;  // to what C holds
  Addend more[2] = {};
};

struct GemmLoops {
  const char* isa = nullptr;  // as oneDNN names it: "avx512_core"

  void (*multiply)(bool is_bf16, const Gemm& gemm);
  // Packs an operand: `count` pixels to rows of words, `row` words apart; in each, `channels` channels from `first` on,
  // rounded up to a multiple of 16 with zeros. A pixel is the address of its first channel, or of zeros. In bf16 word c
  // of row k holds channel first + c of pixels 2k and 2k + 1, and count is even.
  void (*pack)(bool is_bf16, const void* const* pixels, int64_t count, int64_t first, int64_t channels, uint32_t* words,
               int64_t row);
  // dst += src, for the channels of one pixel.
  void (*add_pixel)(bool is_bf16, const void* src, void* dst, int64_t channels);
};

// The loops for `type` on this CPU, as far as oneDNN may use it: f32 by AVX-512 or by AVX2 with FMA, bf16 by
// AVX512_BF16. Null where there are none.
const GemmLoops* gemm_loops(DType type);
// The loops of one instruction set, without asking the CPU: AVX-512, with bf16 by AVX512_BF16; AVX2 with FMA, f32 only.
// Null where the compiler can't make them.
const GemmLoops* gemm_avx512();
const GemmLoops* gemm_avx2();

// Most words of K at a time: a panel of B of four vectors then stays in the first-level cache.
constexpr int64_t kGemmDepth = 72;
// The same product, with K cut into even pieces of at most kGemmDepth words.
void multiply_in_pieces(const GemmLoops& loops, bool is_bf16, const Gemm& gemm);

// Pixels as rows of A, `step` words apart, times weights [depth][columns] as B.
struct PixelProduct {
  const uint32_t* pixels;
  int64_t step;  // words from a pixel to the next
  const uint32_t* weights;
  int64_t depth, columns;
};
// sums[pixel][column] = the products of `count` pixels, plus `more` and `and_more` (which may be `sums` itself). Rows
// of sums are `row` floats apart.
void multiply_pixels(const GemmLoops& loops, bool is_bf16, const PixelProduct& product, int64_t count, float* sums,
                     int64_t row, const Gemm::Addend& more = {}, const Gemm::Addend& and_more = {});

}  // namespace hourglass::kernels
