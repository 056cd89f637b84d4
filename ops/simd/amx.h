// Matrix products of bf16 (sums in f32) by AMX tile instructions, and the packing of pixels into their operands: what
// the AMX kernels of ops/convolution/ call. Behind pointers, so that the build stays portable and the CPU decides at
// run time.
//
// A tile register is 16 rows of 64 bytes. TDPBF16PS adds the products of two tiles over 32 values of k to sums[m][n], a
// tile of 16x16 f32. A row of the left tile (operand A) has 32 k of one m; a row of the right tile (operand B) has two
// k of 16 n, with the two k of each n in one word. At most 2 x 2 tiles of sums are computed at a time.
#pragma once

#include <cstdint>

namespace hourglass::kernels {

constexpr int64_t kAmxColumns = 16;     // n of a right tile, and rows of a left one
constexpr int64_t kAmxDepth = 32;       // k of a step
constexpr int64_t kAmxTileWords = 256;  // words, or f32 sums, of a tile

// sums += A * B, for weight gradients.
struct AmxProduct {
  // K is cut into `pieces` pieces of `steps` steps of 32 k each.
  const uint16_t* const* left = nullptr;  // each piece's first element
  int64_t left_row = 0;                   // elements from m to m + 1
  // Each piece's first word. A step has 256 words; the steps of 16 n are contiguous.
  const uint32_t* const* right = nullptr;
  int64_t right_column = 0;  // words from 16 n to the next 16
  int64_t pieces = 0, steps = 0;
  // Tiles of sums, 1 or 2 each way, of 256 floats; distances in floats from a tile to the one below, and to the one
  // beside.
  int64_t rows = 1, columns = 1;
  float* sums = nullptr;
  int64_t sums_row = 0, sums_column = 0;
};

// dst = A * B + bias, rounded to bf16: a row of pixels times packed weights.
struct AmxPixels {
  // Operands as of AmxProduct, where m counts pixels and n channels. Pixels and channels are read up to the next
  // multiple of 16, so memory there must be readable.
  const uint16_t* const* left = nullptr;
  int64_t left_row = 0;
  const uint32_t* const* right = nullptr;
  int64_t right_column = 0;
  int64_t pieces = 0, steps = 0;
  int64_t pixels = 0, channels = 0;
  const float* bias = nullptr;  // one per channel, or null
  // Pixels [inner_begin, inner_end) are written to dst, `dst_row` elements apart; all others one after the other to
  // `outer`.
  int64_t inner_begin = 0, inner_end = 0;
  uint16_t* dst = nullptr;
  int64_t dst_row = 0;
  uint16_t* outer = nullptr;
  static constexpr int64_t kSums = 2048;
  float* sums = nullptr;  // scratch memory of kSums floats
};

struct AmxLoops {
  // Every thread calls begin() before its first product and end() after its last: tile registers are configured and
  // released.
  void (*begin)();
  void (*end)();
  void (*add_products)(const AmxProduct& product);
  void (*multiply_pixels)(const AmxPixels& product);

  // Packs operand A of weight gradients: `count` pixels (a multiple of 32), given by the addresses of their first
  // channels, to one row per channel, `row` elements apart. A multiple of 16 rows is written; those after the last
  // channel are zeros.
  void (*transpose)(const void* const* pixels, int64_t count, int64_t channels, uint16_t* rows, int64_t row);
  // Packs operand B: `count` pixels (an even number), two to a word, 16 channels to a row; from 16 channels to the next
  // 16 it is `column` words.
  void (*pair)(const void* const* pixels, int64_t count, int64_t channels, uint32_t* words, int64_t column);
  // The same from one row per channel, `row` elements apart: for up to 16 channels, `count` pixels (an even number).
  // Lanes after the last channel get zeros.
  void (*pair_rows)(const uint16_t* rows, int64_t row, int64_t channels, int64_t count, uint32_t* words);
};

// The loops for this CPU, as far as oneDNN, and this process, may use AMX. Null where there are none.
const AmxLoops* amx_tiles();
// The loops without asking the CPU. Null where the compiler can't make them, or the system does not let this process
// use tiles.
const AmxLoops* amx_loops();

}  // namespace hourglass::kernels
