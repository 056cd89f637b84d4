#include "engine/train/random.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/detail/loop.h"

namespace hourglass {
namespace {

// Multipliers and Weyl increments of Philox4x32 (Salmon et al. 2011, table 2).
constexpr uint32_t kM0 = 0xD2511F53, kM1 = 0xCD9E8D57;
constexpr uint32_t kW0 = 0x9E3779B9, kW1 = 0xBB67AE85;

struct Block {
  uint32_t x[4];
};

inline Block philox(Block c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kM0) * c.x[0];
    const uint64_t p1 = static_cast<uint64_t>(kM1) * c.x[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.x[1] ^ k0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.x[3] ^ k1, static_cast<uint32_t>(p0)}};
    k0 += kW0;
    k1 += kW1;
  }
  return c;
}

// 24 bits -> [0, 1).
inline float unit(uint32_t bits) { return static_cast<float>(static_cast<int32_t>(bits >> 8)) * 0x1p-24F; }

// ln(x) for x in (0, 1], to about 1e-7 absolute. x = 2^e * m with m in [sqrt(1/2), sqrt(2));
// ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.1716, by its Taylor series to s^9.
inline float log_unit(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t shifted = bits - 0x3f3504f3U;  // sqrt(1/2)
  const int32_t exponent = static_cast<int32_t>(shifted) >> 23;
  const float m = std::bit_cast<float>((shifted & 0x007fffffU) + 0x3f3504f3U);
  const float s = (m - 1) / (m + 1);
  const float s2 = s * s;
  const float series = 2 * s * (1 + s2 * (1.0F / 3 + s2 * (1.0F / 5 + s2 * (1.0F / 7 + s2 * (1.0F / 9)))));
  return static_cast<float>(exponent) * 0.693147180559945F + series;
}

// cos and sin of 2 pi u, u in [0, 1): u = (quadrant + f) / 4, |f| <= 1/2, Taylor in pi/2 f (error below 1e-7).
inline void cos_sin_turn(float u, float& cosine, float& sine) {
  const float t = u * 4;
  const auto quadrant = static_cast<int32_t>(t + 0.5F);
  const float a = (t - static_cast<float>(quadrant)) * 1.57079632679490F;
  const float a2 = a * a;
  const float s = a * (1 + a2 * (-1.0F / 6 + a2 * (1.0F / 120 + a2 * (-1.0F / 5040 + a2 * (1.0F / 362880)))));
  const float c = 1 + a2 * (-0.5F + a2 * (1.0F / 24 + a2 * (-1.0F / 720 + a2 * (1.0F / 40320))));
  const bool odd = (quadrant & 1) != 0;
  const float x = odd ? s : c;
  const float y = odd ? c : s;
  cosine = ((quadrant + 1) & 2) != 0 ? -x : x;
  sine = (quadrant & 2) != 0 ? -y : y;
}

inline void box_muller(uint32_t a, uint32_t b, float& x, float& y) {
  const float radius = std::sqrt(-2 * log_unit(1 - unit(a)));  // 1 - [0,1) = (0,1]
  float cosine, sine;
  cos_sin_turn(unit(b), cosine, sine);
  x = radius * cosine;
  y = radius * sine;
}

// Four normals for each of `count` counters (first + i, c1, c2, c3), as four rows.
HG_CLONES void normal_rows(uint32_t first, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1,
                           int64_t count, float* rows, int64_t stride) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const Block r = philox({{first + static_cast<uint32_t>(i), c1, c2, c3}}, k0, k1);
    float n0, n1, n2, n3;
    box_muller(r.x[0], r.x[1], n0, n1);
    box_muller(r.x[2], r.x[3], n2, n3);
    rows[i] = n0;
    rows[stride + i] = n1;
    rows[2 * stride + i] = n2;
    rows[3 * stride + i] = n3;
  }
}

template <class T>
HG_CLONES void axpy_row(const float* base, const float* noise, T* dst, int64_t count, float sigma) {
  for (int64_t i = 0; i < count; ++i) detail::store(dst + i, base[i] + sigma * noise[i]);
}

// Four channels side by side at each pixel.
template <class T>
HG_CLONES void interleave4(const float* base, const float* rows, int64_t row_stride, T* dst, int64_t pixel_stride,
                           int64_t count, float sigma) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t lane = 0; lane < 4; ++lane) {
      detail::store(dst + i * pixel_stride + lane, base[i * pixel_stride + lane] + sigma * rows[lane * row_stride + i]);
    }
  }
}

uint32_t key0(uint64_t seed) { return static_cast<uint32_t>(seed); }
uint32_t key1(uint64_t seed, Stream stream) {
  return static_cast<uint32_t>(seed >> 32) ^ (static_cast<uint32_t>(stream) << 24);
}

constexpr int64_t kRow = 256;  // pixels drawn at a time: 4 KiB of normals stay in the first-level cache

}  // namespace

std::vector<float> draw_uniform(uint64_t seed, Stream stream, uint32_t index, int64_t count, float low, float high) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); i += 4) {
    const Block r = philox({{static_cast<uint32_t>(i / 4), static_cast<uint32_t>((i / 4) >> 32), index, 0}}, key0(seed),
                           key1(seed, stream));
    for (std::size_t k = 0; k < std::min<std::size_t>(4, values.size() - i); ++k) {
      values[i + k] = low + (high - low) * unit(r.x[k]);
    }
  }
  return values;
}

std::vector<float> draw_normal(uint64_t seed, Stream stream, uint32_t index, int64_t count, float mean, float stddev) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); i += 4) {
    float n[4];
    normal_rows(static_cast<uint32_t>(i / 4), static_cast<uint32_t>((i / 4) >> 32), index, 0, key0(seed),
                key1(seed, stream), 1, n, 1);
    for (std::size_t k = 0; k < std::min<std::size_t>(4, values.size() - i); ++k) values[i + k] = mean + stddev * n[k];
  }
  return values;
}

template <class T>
void add_normal_noise(const detail::View& view, const float* base, T* dst, float sigma, uint64_t seed,
                      uint32_t iteration) {
  const uint32_t k0 = key0(seed), k1 = key1(seed, Stream::input_noise);
  const int64_t quads = (view.c + 3) / 4;
  // One counter yields channels 4q .. 4q+3 of one pixel: (w, h, n * quads + q, iteration).
  detail::parallel_for(view.n * view.h, [&](int64_t nh) {
    const int64_t n = nh / view.h, h = nh % view.h;
    float rows[4 * kRow];
    for (int64_t w0 = 0; w0 < view.w; w0 += kRow) {
      const int64_t count = std::min(kRow, view.w - w0);
      for (int64_t q = 0; q < quads; ++q) {
        normal_rows(static_cast<uint32_t>(w0), static_cast<uint32_t>(h), static_cast<uint32_t>(n * quads + q),
                    iteration, k0, k1, count, rows, kRow);
        const int64_t channels = std::min<int64_t>(4, view.c - 4 * q);
        const int64_t group = 4 * q / view.block;
        if (view.block >= 4 && view.block % 4 == 0 && channels == 4) {
          const int64_t at = view.offset(n, group, h, w0) + 4 * q - group * view.block;
          interleave4(base + at, rows, kRow, dst + at, view.stride_w, count, sigma);
          continue;
        }
        for (int64_t k = 0; k < channels; ++k) {
          const int64_t c = 4 * q + k;
          const int64_t at = view.offset(n, c / view.block, h, w0) + c % view.block;
          if (view.stride_w == 1) {
            axpy_row(base + at, rows + k * kRow, dst + at, count, sigma);
          } else {
            for (int64_t i = 0; i < count; ++i) {
              detail::store(dst + at + i * view.stride_w, base[at + i * view.stride_w] + sigma * rows[k * kRow + i]);
            }
          }
        }
      }
    }
  });
}

template void add_normal_noise(const detail::View&, const float*, float*, float, uint64_t, uint32_t);
template void add_normal_noise(const detail::View&, const float*, detail::BFloat16*, float, uint64_t, uint32_t);

}  // namespace hourglass
