#include "engine/train/random.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <Random123/threefry.h>

#include <algorithm>
#include <cmath>
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"

namespace hourglass::test {
namespace {

// Noise on zeros, read back as [C][H][W].
std::vector<float> draw(kernels::Tag tag, uint64_t seed, uint32_t iteration, int64_t channels = 6) {
  const MemoryDesc desc = kernels::with_tag({DType::f32, Shape{1, channels, 5, 300}}, tag);
  const kernels::View v = kernels::view_of(desc);
  std::vector<float> base(static_cast<std::size_t>(kernels::padded_elements(desc))), noise = base;
  add_normal_noise(v, base.data(), noise.data(), 1.0F, seed, iteration);
  std::vector<float> planar;
  for (int64_t c = 0; c < v.c; ++c) {
    for (int64_t h = 0; h < v.h; ++h) {
      for (int64_t w = 0; w < v.w; ++w) {
        planar.push_back(noise[static_cast<std::size_t>(v.offset(0, c / v.block, h, w) + c % v.block)]);
      }
    }
  }
  return planar;
}

}  // namespace

TEST_CASE("uniform draws are Threefry4x32-20's words, as Random123 makes them") {
  const uint64_t seed = 0x123456789abcdef0;
  const std::vector<float> got = draw_uniform(seed, Stream::weights, 7, 1003, 0.0F, 1.0F);
  const auto stream = static_cast<uint32_t>(Stream::weights);
  const r123::Threefry4x32::key_type key{{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), stream, 7}};
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto words = r123::Threefry4x32()({{static_cast<uint32_t>(i / 4), 0, 0, 0}}, key);
    CHECK(got[i] == static_cast<float>(words[i % 4] >> 8) / 16777216.0F);
  }
}

TEST_CASE("normal draws are Box-Muller of those words, to float rounding") {
  const std::vector<float> got = draw_normal(42, Stream::input, 3, 4001, 0.0F, 1.0F);
  const auto stream = static_cast<uint32_t>(Stream::input);
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto words = r123::Threefry4x32()({{static_cast<uint32_t>(i / 4), 0, 0, 0}}, {{42, 0, stream, 3}});
    const std::size_t pair = (i % 4) / 2 * 2;
    const double u = 1 - (words[pair] >> 8) / 16777216.0, v = (words[pair + 1] >> 8) / 16777216.0;
    const double radius = std::sqrt(-2 * std::log(u)), turn = 2 * M_PI * v;
    worst = std::max(worst, std::abs(got[i] - radius * (i % 2 == 0 ? std::cos(turn) : std::sin(turn))));
  }
  CHECK(worst < 5e-6);
}

TEST_CASE("a distribution with no width is a constant") {
  for (const float value : draw_uniform(1, Stream::weights, 0, 17, 1.0F, 1.0F)) CHECK(value == 1.0F);
}

TEST_CASE("noise has mean 0, variance 1, and no correlation between channels or iterations") {
  const std::vector<float> a = draw(kernels::Tag::nchw, 5, 1), b = draw(kernels::Tag::nchw, 5, 2);
  const auto n = static_cast<double>(a.size());
  double mean = 0, square = 0, fourth = 0, across = 0, neighbours = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    mean += a[i] / n;
    square += a[i] * a[i] / n;
    fourth += std::pow(a[i], 4) / n;
    across += a[i] * b[i] / n;
    neighbours += a[i] * a[(i + 1500) % a.size()] / n;
  }
  // 9000 draws: standard errors are 1/sqrt(9000) = 0.0105, 0.015 and 0.10; five of them are allowed.
  CHECK(std::abs(mean) < 0.055);
  CHECK(std::abs(square - 1) < 0.075);
  CHECK(std::abs(fourth - 3) < 0.5);
  CHECK(std::abs(across) < 0.055);
  CHECK(std::abs(neighbours) < 0.055);
}

TEST_CASE("noise is Box-Muller of Threefry4x32-13's half words, as Random123 makes them") {
  constexpr int64_t kWidth = 300, kHeight = 5, kChannels = 6;
  const std::vector<float> got = draw(kernels::Tag::nhwc, 77, 12);
  const auto stream = static_cast<uint32_t>(Stream::input_noise);
  double worst = 0;
  for (int64_t c = 0; c < kChannels; ++c) {
    for (int64_t h = 0; h < kHeight; ++h) {
      for (int64_t w = 0; w < kWidth; ++w) {
        const auto word = [](int64_t value) { return static_cast<uint32_t>(value); };
        const auto words =
            r123::Threefry4x32_R<13>()({{word(w / 128 * 16 + w % 16), word(h), word(c), 0}}, {{77, 0, stream, 12}});
        const int64_t of_eight = w % 128 / 16;
        const uint32_t bits = words[static_cast<std::size_t>(of_eight / 2)];
        const double radius = std::sqrt(-2 * std::log(((bits & 0xffff) + 0.5) / 65536));
        const double turn = 2 * M_PI * ((bits >> 16) + 0.5) / 65536;
        const double expected = radius * (of_eight % 2 == 0 ? std::cos(turn - M_PI / 4) : std::sin(turn - M_PI / 4));
        const auto at = static_cast<std::size_t>((c * kHeight + h) * kWidth + w);
        worst = std::max(worst, std::abs(static_cast<double>(got[at]) - expected));
      }
    }
  }
  CHECK(worst < 1e-4);
}

TEST_CASE("noise on bf16 is the same noise, rounded") {
  const MemoryDesc desc = kernels::with_tag({DType::f32, Shape{1, 32, 3, 70}}, kernels::Tag::nhwc);
  const kernels::View view = kernels::view_of(desc);
  std::vector<float> base(32 * 3 * 70, 0.5F), noise = base;
  std::vector<kernels::BFloat16> base16(base.size()), noise16(base.size());
  for (std::size_t i = 0; i < base.size(); ++i) kernels::store(&base16[i], base[i]);
  add_normal_noise(view, base.data(), noise.data(), 0.25F, 3, 4);
  add_normal_noise(view, base16.data(), noise16.data(), 0.25F, 3, 4);
  for (std::size_t i = 0; i < base.size(); ++i) {
    kernels::BFloat16 rounded;
    kernels::store(&rounded, noise[i]);
    CHECK(noise16[i].bits == rounded.bits);
  }
}

TEST_CASE("each image of a batch has noise of its own") {
  const MemoryDesc desc = kernels::with_tag({DType::f32, Shape{2, 5, 3, 40}}, kernels::Tag::nhwc);
  const kernels::View view = kernels::view_of(desc);
  std::vector<float> base(2 * 5 * 3 * 40), noise = base, first(base.size() / 2), alone = first;
  add_normal_noise(view, base.data(), noise.data(), 1.0F, 3, 4);
  add_normal_noise(kernels::view_of(kernels::with_tag({DType::f32, Shape{1, 5, 3, 40}}, kernels::Tag::nhwc)),
                   first.data(), alone.data(), 1.0F, 3, 4);
  CHECK(std::equal(alone.begin(), alone.end(), noise.begin()));
  CHECK_FALSE(std::equal(alone.begin(), alone.end(), noise.begin() + static_cast<std::ptrdiff_t>(alone.size())));
}

TEST_CASE("noise depends neither on the layout nor on the threads") {
  // Blocks that are full and not; more channels than are drawn at a time.
  for (const int64_t channels : {1, 3, 6, 16, 32, 36, 72, 520}) {
    CAPTURE(channels);
    const std::vector<float> planes = draw(kernels::Tag::nchw, 9, 3, channels);
    for (const kernels::Tag tag : {kernels::Tag::nhwc, kernels::Tag::nChw8c, kernels::Tag::nChw16c}) {
      CHECK(draw(tag, 9, 3, channels) == planes);
    }
  }
  const std::vector<float> planes = draw(kernels::Tag::nchw, 9, 3);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(3);
  CHECK(draw(kernels::Tag::nchw, 9, 3) == planes);
  omp_set_num_threads(threads);
  CHECK(draw(kernels::Tag::nchw, 10, 3) != planes);
}

}  // namespace hourglass::test
