#include "engine/train/random.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"

namespace hourglass {
namespace {

struct Block {
  uint32_t x[4];
};

// Of a draw.
struct Key {
  uint32_t k[4];
};
Key key_of(uint64_t seed, Stream stream, uint32_t index) {
  return {{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(stream), index}};
}

// Salmon et al. 2011, section 4.2; the rotations and the key's parity word are Threefish's (Ferguson et al., The Skein
// hash function family, 2010) for words of 32 bits, as Random123 has them. 20 rounds are the usual number.
constexpr int kRotations[8][2] = {{10, 26}, {11, 21}, {13, 27}, {23, 5}, {6, 20}, {17, 11}, {25, 10}, {18, 20}};
constexpr uint32_t kParity = 0x1BD11BDA;

template <int kRounds>
inline Block threefry(Block c, const Key& key) {
  const uint32_t k[5] = {key.k[0], key.k[1], key.k[2], key.k[3], kParity ^ key.k[0] ^ key.k[1] ^ key.k[2] ^ key.k[3]};
  for (int i = 0; i < 4; ++i) c.x[i] += k[i];
#pragma GCC unroll 20
  for (int round = 0; round < kRounds; ++round) {
    const auto [first, second] = kRotations[round % 8];
    const int a = round % 2 == 0 ? 1 : 3, b = 4 - a;
    c.x[0] += c.x[a];
    c.x[a] = std::rotl(c.x[a], first) ^ c.x[0];
    c.x[2] += c.x[b];
    c.x[b] = std::rotl(c.x[b], second) ^ c.x[2];
    if (round % 4 != 3) continue;
    const int n = round / 4 + 1;
    for (int i = 0; i < 4; ++i) c.x[i] += k[(n + i) % 5];
    c.x[3] += static_cast<uint32_t>(n);
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

// Eight normals for each of `count` counters (c0[i] + first0, c1, c2[i] + first2, 0), as eight rows. Thirteen rounds:
// after nine a bit of the counter has spread over all that comes out (Random123 1.14, threefry.h).
HG_CLONES void normal_rows(const Key& key, const uint32_t* c0, uint32_t first0, uint32_t c1, const uint32_t* c2,
                           uint32_t first2, int64_t count, float* rows, int64_t stride) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const Block r = threefry<13>({{c0[i] + first0, c1, c2[i] + first2, 0}}, key);
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

template <class T>
HG_CLONES void add_row(const T* base, const float* noise, T* dst, int64_t count, float sigma) {
  for (int64_t i = 0; i < count; ++i) kernels::store(dst + i, kernels::load(base + i) + sigma * noise[i]);
}

// The i-th four numbers of a draw.
Block block_of(const Key& key, uint64_t i) {
  return threefry<20>({{static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), 0, 0}}, key);
}

// One counter yields eight pixels of a row and channel: of a piece of 128 pixels the i-th, the (16 + i)-th and so on.
// What is drawn for 16 pixels with their channels then lies as they do.
constexpr int64_t kNormals = 8, kRun = 16, kPiece = kNormals * kRun;
constexpr int64_t kLanes = 512;  // counters at a time, at most: 16 KiB of normals

// The counters of some pixels of a run, as many as there is room for, with so many channels each.
struct Lanes {
  int64_t channels, pixels = kRun, count = 0;
  uint32_t c0[kLanes], c2[kLanes];

  explicit Lanes(int64_t of_channels) : channels(of_channels) {
    while (pixels * channels > kLanes) pixels /= 2;
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      for (int64_t channel = 0; channel < channels; ++channel, ++count) {
        c0[count] = static_cast<uint32_t>(pixel);
        c2[count] = static_cast<uint32_t>(channel);
      }
    }
  }
};

// Row h of channels [first, first + lanes.channels) of group g.
struct NoiseRow {
  int64_t n, h, g, first;
};

template <class T>
void add_noise(const kernels::View& view, const Key& key, const NoiseRow& row, const Lanes& lanes, const T* base,
               T* dst, float sigma) {
  float normals[kNormals * kLanes];
  const bool is_dense = lanes.channels == view.stride_w;
  const auto channel = static_cast<uint32_t>(row.n * view.c + row.g * view.block + row.first);
  for (int64_t w0 = 0; w0 < view.w; w0 += kPiece) {
    for (int64_t pixel = 0; pixel < kRun && w0 + pixel < view.w; pixel += lanes.pixels) {
      normal_rows(key, lanes.c0, static_cast<uint32_t>(w0 / kNormals + pixel), static_cast<uint32_t>(row.h), lanes.c2,
                  channel, lanes.count, normals, kLanes);
      for (int64_t k = 0; k < kNormals; ++k) {
        const int64_t w = w0 + k * kRun + pixel, width = std::min(lanes.pixels, view.w - w);
        if (width <= 0) break;
        const int64_t at = view.offset(row.n, row.g, row.h, w) + row.first;
        const float* from = normals + k * kLanes;
        if (is_dense) {
          add_row(base + at, from, dst + at, width * lanes.channels, sigma);
          continue;
        }
        for (int64_t i = 0; i < width; ++i) {
          const int64_t of_pixel = at + i * view.stride_w;
          add_row(base + of_pixel, from + i * lanes.channels, dst + of_pixel, lanes.channels, sigma);
        }
      }
    }
  }
}

}  // namespace

std::vector<float> draw_uniform(uint64_t seed, Stream stream, uint32_t index, int64_t count, float low, float high) {
  std::vector<float> values(static_cast<std::size_t>(count));
  const Key key = key_of(seed, stream, index);
  for (std::size_t i = 0; i < values.size(); i += 4) {
    const Block r = block_of(key, i / 4);
    for (std::size_t k = 0; k < std::min<std::size_t>(4, values.size() - i); ++k) {
      values[i + k] = low + (high - low) * unit(r.x[k]);
    }
  }
  return values;
}

std::vector<float> draw_normal(uint64_t seed, Stream stream, uint32_t index, int64_t count, float mean, float stddev) {
  std::vector<float> values(static_cast<std::size_t>(count));
  const Key key = key_of(seed, stream, index);
  for (std::size_t i = 0; i < values.size(); i += 4) {
    const Block r = block_of(key, i / 4);
    float n[4];
    box_muller(r.x[0], r.x[1], n[0], n[1]);
    box_muller(r.x[2], r.x[3], n[2], n[3]);
    for (std::size_t k = 0; k < std::min<std::size_t>(4, values.size() - i); ++k) values[i + k] = mean + stddev * n[k];
  }
  return values;
}

template <class T>
void add_normal_noise(const kernels::View& view, const T* base, T* dst, float sigma, uint64_t seed,
                      uint32_t iteration) {
  const Key key = key_of(seed, Stream::input_noise, iteration);
  kernels::parallel_for(view.n * view.h, [&](int64_t nh) {
    for (int64_t g = 0; g < view.groups; ++g) {
      const int64_t channels = view.lanes(g);
      for (int64_t first = 0; first < channels; first += kLanes) {
        const Lanes lanes(std::min(kLanes, channels - first));
        add_noise(view, key, {.n = nh / view.h, .h = nh % view.h, .g = g, .first = first}, lanes, base, dst, sigma);
      }
    }
  });
}

template void add_normal_noise(const kernels::View&, const float*, float*, float, uint64_t, uint32_t);
template void add_normal_noise(const kernels::View&, const kernels::BFloat16*, kernels::BFloat16*, float, uint64_t,
                               uint32_t);

}  // namespace hourglass
