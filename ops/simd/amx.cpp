// Matrix products of bf16 by AMX tiles, and the packing of their operands (ops/simd/amx.h). Compiled for AMX whatever
// the build is for; gemm-inl.h has the rules for such files.
#include "ops/simd/amx.h"

#if !defined(__AMX_TILE__) || !defined(__AMX_BF16__) || !defined(__AVX512BF16__) || !defined(__linux__)

namespace hourglass::kernels {
const AmxLoops* amx_loops() { return nullptr; }
}  // namespace hourglass::kernels

#else

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hourglass::kernels {
namespace {

constexpr int64_t kLanes = 16, kTileBytes = 64, kPair = 2 * kLanes;

// Intel's manual, volume 1, "Programming with Intel AMX": palette 1 has eight tiles of up to 16 rows of 64 bytes.
struct TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

void begin() {
  static const TileConfig config;
  _tile_loadconfig(&config);
}
void end() { _tile_release(); }

// Tile registers 0 to 3 are sums, [row][column]; 4 and 5 hold A, 6 and 7 hold B.
template <int kRows, int kColumns>
[[gnu::always_inline]] inline void add_steps(const uint16_t* left, int64_t left_row, const uint32_t* right,
                                             int64_t right_column, int64_t steps) {
  for (int64_t k = 0; k < steps; ++k, left += kAmxDepth, right += kAmxTileWords) {
    _tile_loadd(4, left, left_row * 2);
    _tile_loadd(6, right, kTileBytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kColumns == 2) {
      _tile_loadd(7, right + right_column, kTileBytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRows == 2) {
      _tile_loadd(5, left + kLanes * left_row, left_row * 2);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kColumns == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
}

template <int kRows, int kColumns>
void add_tiles(const AmxProduct& p) {
  float* const s = p.sums;
  _tile_loadd(0, s, kTileBytes);
  if constexpr (kColumns == 2) _tile_loadd(1, s + p.sums_column, kTileBytes);
  if constexpr (kRows == 2) _tile_loadd(2, s + p.sums_row, kTileBytes);
  if constexpr (kRows == 2 && kColumns == 2) _tile_loadd(3, s + p.sums_row + p.sums_column, kTileBytes);
  for (int64_t i = 0; i < p.pieces; ++i) {
    add_steps<kRows, kColumns>(p.left[i], p.left_row, p.right[i], p.right_column, p.steps);
  }
  _tile_stored(0, s, kTileBytes);
  if constexpr (kColumns == 2) _tile_stored(1, s + p.sums_column, kTileBytes);
  if constexpr (kRows == 2) _tile_stored(2, s + p.sums_row, kTileBytes);
  if constexpr (kRows == 2 && kColumns == 2) _tile_stored(3, s + p.sums_row + p.sums_column, kTileBytes);
}

void add_products(const AmxProduct& p) {
  if (p.rows == 2) return p.columns == 2 ? add_tiles<2, 2>(p) : add_tiles<2, 1>(p);
  return p.columns == 2 ? add_tiles<1, 2>(p) : add_tiles<1, 1>(p);
}

__mmask16 lanes(int64_t count) { return static_cast<__mmask16>(count >= kLanes ? 0xffffU : (1U << count) - 1U); }

// Rounds columns [0, 32) or [0, 16) of up to 32 pixels' sums plus bias to dst; sums are [pixel][kPair].
template <int kColumns>
void round_pixels(const float* sums, const float* bias, int64_t pixels, int64_t columns, uint16_t* dst, int64_t row) {
  const __mmask16 low = lanes(columns);
  const __m512 bias_low = bias == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(low, bias);
  if constexpr (kColumns == 1) {
    for (int64_t i = 0; i < pixels; ++i) {
      const __m512 x = _mm512_add_ps(_mm512_loadu_ps(sums + i * kPair), bias_low);
      _mm256_mask_storeu_epi16(dst + i * row, low, (__m256i)_mm512_cvtneps_pbh(x));
    }
  } else {
    const __mmask16 high = lanes(columns - kLanes);
    const __mmask32 both = static_cast<__mmask32>(high) << 16 | low;
    const __m512 bias_high = bias == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(high, bias + kLanes);
    for (int64_t i = 0; i < pixels; ++i) {
      const __m512 x = _mm512_add_ps(_mm512_loadu_ps(sums + i * kPair), bias_low);
      const __m512 y = _mm512_add_ps(_mm512_loadu_ps(sums + i * kPair + kLanes), bias_high);
      _mm512_mask_storeu_epi16(dst + i * row, both, (__m512i)_mm512_cvtne2ps_pbh(y, x));
    }
  }
}

// sums = the products of 16 * kRows pixels from `pixel` on and 16 * kColumns channels from `channel` on.
template <int kRows, int kColumns>
void multiply_block(const AmxPixels& p, int64_t pixel, int64_t channel, float* sums) {
  _tile_zero(0);
  if constexpr (kColumns == 2) _tile_zero(1);
  if constexpr (kRows == 2) _tile_zero(2);
  if constexpr (kRows == 2 && kColumns == 2) _tile_zero(3);
  for (int64_t i = 0; i < p.pieces; ++i) {
    add_steps<kRows, kColumns>(p.left[i] + pixel * p.left_row, p.left_row,
                               p.right[i] + channel / kLanes * p.right_column, p.right_column, p.steps);
  }
  constexpr int64_t kRowBytes = kPair * 4, kNextRows = kLanes * kPair;
  _tile_stored(0, sums, kRowBytes);
  if constexpr (kColumns == 2) _tile_stored(1, sums + kLanes, kRowBytes);
  if constexpr (kRows == 2) _tile_stored(2, sums + kNextRows, kRowBytes);
  if constexpr (kRows == 2 && kColumns == 2) _tile_stored(3, sums + kNextRows + kLanes, kRowBytes);
}

int64_t clamped(int64_t count, int64_t most) { return count < 0 ? 0 : count > most ? most : count; }

template <int kColumns>
void multiply_columns(const AmxPixels& p, int64_t channel) {
  constexpr int64_t kBlock = 2 * kLanes;
  const float* bias = p.bias == nullptr ? nullptr : p.bias + channel;
  float* sums = p.sums;
  for (int64_t pixel = 0; pixel < p.pixels; pixel += kBlock) {
    const int64_t pixels = p.pixels - pixel < kBlock ? p.pixels - pixel : kBlock;
    if (pixels > kLanes) {
      multiply_block<2, kColumns>(p, pixel, channel, sums);
    } else {
      multiply_block<1, kColumns>(p, pixel, channel, sums);
    }
    // Pixels before the inner ones, inner pixels, and pixels after them.
    const int64_t inner = clamped(p.inner_begin - pixel, pixels), behind = clamped(p.inner_end - pixel, pixels);
    const int64_t columns = p.channels - channel;
    // To pixel `at` of `dst`, which may be null where there are no such pixels.
    const auto round = [&](int64_t first, int64_t end, uint16_t* dst, int64_t at, int64_t row) {
      if (first >= end) return;
      round_pixels<kColumns>(sums + first * kPair, bias, end - first, columns, dst + at * row + channel, row);
    };
    round(0, inner, p.outer, pixel, p.channels);
    round(inner, behind, p.dst, pixel + inner - p.inner_begin, p.dst_row);
    round(behind, pixels, p.outer, pixel + behind - p.inner_end + p.inner_begin, p.channels);
    // Two buffers of sums in turn, so that the next products need not wait until these are read.
    sums = sums == p.sums ? p.sums + AmxPixels::kSums / 2 : p.sums;
  }
}

void multiply_pixels(const AmxPixels& p) {
  for (int64_t channel = 0; channel < p.channels; channel += 2 * kLanes) {
    if (p.channels - channel > kLanes) {
      multiply_columns<2>(p, channel);
    } else {
      multiply_columns<1>(p, channel);
    }
  }
}

// Channels c to c + 15 of two pixels, one channel of both in each word.
__m512i pair_of(const void* low, const void* high, int64_t c, __mmask16 mask) {
  const __m512i l = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(low) + c));
  const __m512i h = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(high) + c));
  return _mm512_or_si512(l, _mm512_slli_epi32(h, 16));
}

// Transposes 16x16 words.
void transpose_words(__m512i r[kLanes]) {
  __m512i t[kLanes];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

void transpose(const void* const* pixels, int64_t count, int64_t channels, uint16_t* rows, int64_t row) {
  for (int64_t p = 0; p < count; p += kAmxDepth) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const __mmask16 mask = lanes(channels - c);
      __m512i words[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) words[i] = pair_of(pixels[p + 2 * i], pixels[p + 2 * i + 1], c, mask);
      transpose_words(words);
      for (int64_t i = 0; i < kLanes; ++i) _mm512_storeu_si512(rows + (c + i) * row + p, words[i]);
    }
  }
}

void pair(const void* const* pixels, int64_t count, int64_t channels, uint32_t* words, int64_t column) {
  for (int64_t p = 0; p < count; p += 2) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      _mm512_storeu_si512(words + c / kLanes * column + p / 2 * kLanes,
                          pair_of(pixels[p], pixels[p + 1], c, lanes(channels - c)));
    }
  }
}

void pair_rows(const uint16_t* rows, int64_t row, int64_t channels, int64_t count, uint32_t* words) {
  for (int64_t k = 0; k < count; k += kAmxDepth) {
    const int64_t rest = count - k;
    const __mmask32 mask = rest >= kAmxDepth ? 0xffffffffU : (1U << rest) - 1U;
    __m512i r[kLanes];
    for (int64_t c = 0; c < kLanes; ++c) {
      r[c] = c < channels ? _mm512_maskz_loadu_epi16(mask, rows + c * row + k) : _mm512_setzero_si512();
    }
    transpose_words(r);
    for (int64_t i = 0; i < kLanes && 2 * i < rest; ++i) _mm512_storeu_si512(words + (k / 2 + i) * kLanes, r[i]);
  }
}

// Linux lets a process use tiles once it has asked: Documentation/arch/x86/xstate.rst.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

const AmxLoops* amx_loops() {
  static constexpr AmxLoops kLoops{begin, end, add_products, multiply_pixels, transpose, pair, pair_rows};
  static const bool may = may_use_tiles();
  return may ? &kLoops : nullptr;
}

}  // namespace hourglass::kernels

#endif
