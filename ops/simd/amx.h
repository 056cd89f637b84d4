// The products that AMX makes of bf16, with sums in f32, and what brings pixels into the form that they take: what
// ops/convolution/weight_gradient/amx.cpp, amx_forward.cpp and their like call, behind pointers, so that the build
// stays portable and the CPU decides while running.
//
// A tile is 16 rows of 64 bytes. A product of two tiles adds 32 values of k to sums[m][n], 16x16 of f32: a row of the
// left tile has the k of one m; a row of the right one has two k of 16 n, the two of each n in one word.
#pragma once

#include <cstdint>

namespace hourglass::kernels {

struct AmxProduct {
  // Both sides come in `pieces` pieces of `steps` steps of 32 k each.
  const uint16_t* const* left = nullptr;  // each piece's first element
  int64_t left_row = 0;                   // elements from m to m + 1
  // Each piece's first word. A step has 256 words; the steps of 16 n lie together.
  const uint32_t* const* right = nullptr;
  int64_t right_column = 0;  // words from 16 n to the next 16
  int64_t pieces = 0, steps = 0;
  // Tiles of sums, 1 or 2 each way, of 256 floats; floats from a tile to the one below, and to the one beside it.
  int64_t rows = 1, columns = 1;
  float* sums = nullptr;
  int64_t sums_row = 0, sums_column = 0;
};

// A row of pixels times weights, rounded to bf16.
struct AmxPixels {
  // As for AmxProduct, where m counts pixels and n channels; in 16 pixels and 16 channels what is too many must be
  // there.
  const uint16_t* const* left = nullptr;
  int64_t left_row = 0;
  const uint32_t* const* right = nullptr;
  int64_t right_column = 0;
  int64_t pieces = 0, steps = 0;
  int64_t pixels = 0, channels = 0;
  const float* bias = nullptr;  // one per channel, or null
  // Pixels [inner_begin, inner_end) go to dst, `dst_row` elements apart, all others one behind the other to `outer`.
  int64_t inner_begin = 0, inner_end = 0;
  uint16_t* dst = nullptr;
  int64_t dst_row = 0;
  uint16_t* outer = nullptr;
  static constexpr int64_t kSums = 2048;
  float* sums = nullptr;  // room for kSums
};

struct AmxLoops {
  // Every thread calls begin() before the first product, and end() after the last: tiles are set up and given back.
  void (*begin)();
  void (*end)();
  void (*add_products)(const AmxProduct& product);
  void (*multiply_pixels)(const AmxPixels& product);

  // `count` pixels (a multiple of 32), each the address of its first channel, to rows of one channel each, `row`
  // elements apart. A multiple of 16 rows is written, those behind the last channel with zeros.
  void (*transpose)(const void* const* pixels, int64_t count, int64_t channels, uint16_t* rows, int64_t row);
  // `count` pixels (an even number), two to a word, 16 channels to a row, as a product's right side has them; from 16
  // channels to the next 16 it is `column` words.
  void (*pair)(const void* const* pixels, int64_t count, int64_t channels, uint32_t* words, int64_t column);
  // The same from rows of one channel each, `row` elements apart: of up to 16 channels, `count` pixels (an even
  // number). Lanes behind the last channel get zeros.
  void (*pair_rows)(const uint16_t* rows, int64_t row, int64_t channels, int64_t count, uint32_t* words);
};

// Those of this CPU, as far as oneDNN, and this process, may use AMX. Null where there are none.
const AmxLoops* amx_tiles();
// Null where the compiler can't make them, or the system does not let this process use tiles.
const AmxLoops* amx_loops();

}  // namespace hourglass::kernels
