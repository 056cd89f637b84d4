// The products that AMX makes of bf16 (sums in f32), and what brings pixels into the form that they take: the loops that
// ops/detail/grad_weights.cpp and tile_convolution.cpp call, behind pointers, so that the build stays portable and the CPU decides while
// running.
//
// A tile is 16 rows of 64 bytes. A product of two tiles adds to sums[m][n], 16x16 of f32, what 32 values of k give:
// on its left k lies in the row, on its right two k share a word, and the row has the words of 16 n.
#pragma once

#include <cstdint>

namespace hourglass::detail {

struct AmxProduct {
  // Both sides come in `pieces` pieces of `steps` steps of 32 k each.
  const uint16_t* const* left = nullptr;  // each piece's first element
  int64_t left_row = 0;                   // elements from m to m + 1
  const uint32_t* const* right = nullptr;
  int64_t right_column = 0;  // words from 16 n to the next 16; a step's 256 words lie together, behind those before it
  int64_t pieces = 0, steps = 0;
  int64_t rows = 1, columns = 1;  // tiles of sums: 1 or 2 each way
  float* sums = nullptr;          // of a tile: 256, together
  int64_t sums_row = 0, sums_column = 0;  // from a tile to the one below, and to the one beside it
};

struct AmxLoops {
  // Every thread calls begin() before the first product, and end() after the last: tiles are set up and given back.
  void (*begin)();
  void (*end)();
  void (*add_products)(const AmxProduct& product);
  // A tile of sums to bf16: `rows` rows of `columns`, `row` elements apart.
  void (*round)(const float* sums, int64_t rows, int64_t columns, uint16_t* to, int64_t row);

  // `count` pixels (a multiple of 32), each the address of its first channel, to rows of one channel each, `row`
  // elements apart; as many rows as a multiple of 16, those behind the last channel are zero.
  void (*transpose)(const void* const* pixels, int64_t count, int64_t channels, uint16_t* rows, int64_t row);
  // The same pixels, two to a word, 16 channels to a row: the right side of a product, 16 channels `column` words apart.
  void (*pair)(const void* const* pixels, int64_t count, int64_t channels, uint32_t* words, int64_t column);
};

// Null where the compiler can't make them, or the system does not let this process use tiles.
const AmxLoops* amx_loops();

}  // namespace hourglass::detail
