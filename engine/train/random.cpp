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

// Ten rounds are the usual number; seven are the fewest that pass every statistical test of TestU01 (the paper's table
// 2).
template <int kRounds>
inline Block philox(Block c, uint32_t k0, uint32_t k1) {
#pragma GCC unroll 10
  for (int round = 0; round < kRounds; ++round) {
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

// ---- noise: two normals from 32 bits, a radius from 16 of them and an angle from the others. What falls between the
// 65536 radii and angles is far below what noise on an input can show, and half the random bits do.

// sqrt(-2 ln u), u = (k + 1/2) / 2^16 for the low half k of the bits: at most 4.86. u = 2^e * (1 + t) with |t| below
// 0.42; ln(1 + t) / t by its Chebyshev polynomial of degree 6, to 1.3e-6.
inline float radius_of(uint32_t bits) {
  const float u = static_cast<float>(static_cast<int32_t>(bits & 0xffffU)) * 0x1p-16F + 0x1p-17F;
  const uint32_t shifted = std::bit_cast<uint32_t>(u) - 0x3f3504f3U;  // sqrt(1/2)
  const auto exponent = static_cast<float>(static_cast<int32_t>(shifted) >> 23);
  const float t = std::bit_cast<float>((shifted & 0x007fffffU) + 0x3f3504f3U) - 1;
  const float high = -0.24908289F + t * (0.2049176F + t * (-0.18680751F + t * 0.11931054F));
  const float series = 1.00000096F + t * (-0.50001145F + t * (0.33314674F + t * high));
  return std::sqrt(std::max(0.0F, exponent * -1.38629436F - 2 * t * series));
}

// cos and sin of 2 pi (k + 1/2) / 2^16 - pi/4 for the high half k. Its two highest bits say next to which half axis the
// angle lies, the others how far from it, pi/2 f with f in (-1/2, 1/2); Chebyshev polynomials in f^2, to 1e-5.
inline void angle_of(uint32_t bits, float& cosine, float& sine) {
  const uint32_t quadrant = bits >> 30;
  const float f = static_cast<float>(static_cast<int32_t>(bits >> 16 & 0x3fffU)) * 0x1p-14F + (0x1p-15F - 0.5F);
  const float f2 = f * f;
  const float s = f * (1.57079407F + f2 * (-0.64580168F + f2 * 0.07795441F));
  const float c = 0.99999001F + f2 * (-1.23297953F + f2 * 0.24594551F);
  const bool odd = (quadrant & 1) != 0;
  const auto with_sign = [](float x, uint32_t sign) {
    return std::bit_cast<float>(std::bit_cast<uint32_t>(x) ^ sign << 31);
  };
  cosine = with_sign(odd ? s : c, (quadrant + 1) >> 1 & 1);
  sine = with_sign(odd ? c : s, quadrant >> 1);
}

inline void two_normals(uint32_t bits, float& x, float& y) {
  float cosine, sine;
  angle_of(bits, cosine, sine);
  const float radius = radius_of(bits);
  x = radius * cosine;
  y = radius * sine;
}

// Eight normals for each of `count` counters (c0[i], c1, c2[i], c3), as eight rows.
HG_CLONES void normal_rows(const uint32_t* c0, uint32_t c1, const uint32_t* c2, uint32_t c3, uint32_t k0, uint32_t k1,
                           int64_t count, float* rows, int64_t stride) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const Block r = philox<7>({{c0[i], c1, c2[i], c3}}, k0, k1);
    float n[8];
    two_normals(r.x[0], n[0], n[1]);
    two_normals(r.x[1], n[2], n[3]);
    two_normals(r.x[2], n[4], n[5]);
    two_normals(r.x[3], n[6], n[7]);
    rows[i] = n[0];
    rows[stride + i] = n[1];
    rows[2 * stride + i] = n[2];
    rows[3 * stride + i] = n[3];
    rows[4 * stride + i] = n[4];
    rows[5 * stride + i] = n[5];
    rows[6 * stride + i] = n[6];
    rows[7 * stride + i] = n[7];
  }
}

// Four rows side by side.
HG_CLONES void interleave4(const float* rows, int64_t stride, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[4 * i] = rows[i];
    out[4 * i + 1] = rows[stride + i];
    out[4 * i + 2] = rows[2 * stride + i];
    out[4 * i + 3] = rows[3 * stride + i];
  }
}

template <class T>
HG_CLONES void add_row(const T* base, const float* noise, T* dst, int64_t count, float sigma) {
  for (int64_t i = 0; i < count; ++i) detail::store(dst + i, detail::load(base + i) + sigma * noise[i]);
}

// The same for every `stride`-th element.
template <class T>
HG_CLONES void add_strided(const T* base, const float* noise, T* dst, int64_t count, int64_t stride, float sigma) {
  for (int64_t i = 0; i < count; ++i) {
    detail::store(dst + i * stride, detail::load(base + i * stride) + sigma * noise[i]);
  }
}

uint32_t key0(uint64_t seed) { return static_cast<uint32_t>(seed); }
uint32_t key1(uint64_t seed, Stream stream) {
  return static_cast<uint32_t>(seed >> 32) ^ (static_cast<uint32_t>(stream) << 24);
}

// The i-th four numbers of a draw.
Block block_of(uint64_t seed, Stream stream, uint32_t index, uint64_t i) {
  return philox<10>({{static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), index, 0}}, key0(seed),
                    key1(seed, stream));
}

// One counter yields four channels of two pixels of a row: of a piece of 64 pixels the i-th and the (32 + i)-th.
constexpr int64_t kHalf = 32, kPiece = 2 * kHalf;
constexpr int64_t kQuads = 16;  // of channels that are drawn at a time, at most: 48 KiB of normals

}  // namespace

std::vector<float> draw_uniform(uint64_t seed, Stream stream, uint32_t index, int64_t count, float low, float high) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); i += 4) {
    const Block r = block_of(seed, stream, index, i / 4);
    for (std::size_t k = 0; k < std::min<std::size_t>(4, values.size() - i); ++k) {
      values[i + k] = low + (high - low) * unit(r.x[k]);
    }
  }
  return values;
}

std::vector<float> draw_normal(uint64_t seed, Stream stream, uint32_t index, int64_t count, float mean, float stddev) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); i += 4) {
    const Block r = block_of(seed, stream, index, i / 4);
    float n[4];
    box_muller(r.x[0], r.x[1], n[0], n[1]);
    box_muller(r.x[2], r.x[3], n[2], n[3]);
    for (std::size_t k = 0; k < std::min<std::size_t>(4, values.size() - i); ++k) values[i + k] = mean + stddev * n[k];
  }
  return values;
}

template <class T>
void add_normal_noise(const detail::View& view, const T* base, T* dst, float sigma, uint64_t seed, uint32_t iteration) {
  const uint32_t k0 = key0(seed), k1 = key1(seed, Stream::input_noise);
  const int64_t quads = (view.c + 3) / 4;
  // Whole pixels of a group are one run in memory, where they can be; else each channel goes its own way.
  const bool whole =
      view.block % 4 == 0 && view.c % view.block == 0 && view.stride_w == view.block && view.block / 4 <= kQuads;
  const int64_t together = whole ? view.block / 4 : 1;
  detail::parallel_for(view.n * view.h, [&](int64_t nh) {
    const int64_t n = nh / view.h, h = nh % view.h;
    uint32_t c0[kHalf * kQuads], c2[kHalf * kQuads];
    float rows[8 * kHalf * kQuads], pixels[4 * kHalf * kQuads];
    const int64_t stride = kHalf * together;
    for (int64_t w0 = 0; w0 < view.w; w0 += kPiece) {
      const int64_t half = std::min(kHalf, view.w - w0), count = half * together;
      for (int64_t first = 0; first < quads; first += together) {
        for (int64_t i = 0; i < count; ++i) {
          c0[i] = static_cast<uint32_t>(w0 / 2 + i / together);
          c2[i] = static_cast<uint32_t>(n * quads + first + i % together);
        }
        normal_rows(c0, static_cast<uint32_t>(h), c2, iteration, k0, k1, count, rows, stride);
        for (int64_t side = 0; side < 2; ++side) {
          const float* of_side = rows + side * 4 * stride;
          const int64_t w = w0 + side * kHalf, width = std::min(half, view.w - w);
          if (width <= 0) break;
          if (whole) {
            interleave4(of_side, stride, width * together, pixels);
            const int64_t at = view.offset(n, 4 * first / view.block, h, w);
            add_row(base + at, pixels, dst + at, width * view.block, sigma);
            continue;
          }
          for (int64_t k = 0; k < std::min<int64_t>(4, view.c - 4 * first); ++k) {
            const int64_t c = 4 * first + k;
            const int64_t at = view.offset(n, c / view.block, h, w) + c % view.block;
            add_strided(base + at, of_side + k * stride, dst + at, width, view.stride_w, sigma);
          }
        }
      }
    }
  });
}

template void add_normal_noise(const detail::View&, const float*, float*, float, uint64_t, uint32_t);
template void add_normal_noise(const detail::View&, const detail::BFloat16*, detail::BFloat16*, float, uint64_t,
                               uint32_t);

}  // namespace hourglass
