#include "ops/simd/gemm.h"

#include <algorithm>

#include "ops/memory/scratch_layout.h"

namespace hourglass::kernels {

void multiply_in_pieces(const GemmLoops& loops, bool is_bf16, const Gemm& gemm) {
  const int64_t piece = even_piece(gemm.depth, kGemmDepth);
  Gemm p = gemm;
  for (int64_t k = 0; k < gemm.depth; k += piece) {
    p.depth = std::min(piece, gemm.depth - k);
    loops.multiply(is_bf16, p);
    p.a += piece * p.a_step;
    p.b += piece * p.b_step;
    p.add = true;
    for (Gemm::Addend& more : p.more) more = {};
  }
}

void multiply_pixels(const GemmLoops& loops, bool is_bf16, const PixelProduct& product, int64_t count, float* sums,
                     int64_t row, const Gemm::Addend& more, const Gemm::Addend& and_more) {
  constexpr int64_t kLanes = 16, kWidth = 4 * kLanes;
  const auto from = [](const Gemm::Addend& addend, int64_t column) {
    return Gemm::Addend{addend.at == nullptr ? nullptr : addend.at + column, addend.row};
  };
  for (int64_t column = 0; column < product.columns; column += kWidth) {
    multiply_in_pieces(loops, is_bf16,
                       {.a = product.pixels,
                        .a_row = product.step,
                        .a_step = 1,
                        .b = product.weights + column,
                        .b_step = product.columns,
                        .c = sums + column,
                        .c_row = row,
                        .rows = count,
                        .vectors = std::min(kWidth, product.columns - column) / kLanes,
                        .depth = product.depth,
                        .more = {from(more, column), from(and_more, column)}});
  }
}

}  // namespace hourglass::kernels
