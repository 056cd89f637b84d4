// The transforms of ops/simd/winograd_transforms.h, written once for all instruction sets; gemm-inl.h describes Isa and
// says who may include such a file. Each two-dimensional transform is a one-dimensional one along the columns, then
// along the rows.
#pragma once

#include "ops/simd/gemm-inl.h"
#include "ops/simd/winograd_transforms.h"

namespace hourglass::kernels {

template <class Isa>
struct WinogradSimd : GemmSimd<Isa> {
  using Base = GemmSimd<Isa>;
  using Base::add;
  using Base::fma;
  using Base::for_each_vector;
  using Base::kGrain;
  using Base::kLanes;
  using Base::lanes;
  using Base::mul;
  using Base::sub;
  using Base::with_element;
  using typename Base::F32;
  using typename Base::Mask;
  using typename Base::Vector;
  template <class E>
  static constexpr bool is_f32 = Base::template is_f32<E>;

  static constexpr int kTile = 6, kOut = 4, kPoints = kTile * kTile;

  // The interpolation points of the Toom-Cook construction are 0, +-kA, +-kB and infinity. They make bf16's rounding
  // least visible: an RMS error of 1.1 % of the output's for noise, 0.3 % for a smooth image, against 2.4 % and 0.8 %
  // with Lavin and Gray's 0, +-1, +-2.
  //   Winograd, Arithmetic complexity of computations, 1980; Lavin and Gray, CVPR 2016.
  static constexpr float kA = 0.70710678118654752F, kB = 1.4142135623730951F;  // squares 1/2 and 2
  static constexpr float kNormA = -2.0F / 3, kNormB = 1.0F / 6;  // 1 / product of the distances to other points

  // ---- one dimension of the transforms

  // B^T d: source to points.
  static void source_to_points(const Vector d[kTile], Vector v[kTile]) {
    const Vector even_a = fma(-2.0F, d[2], d[4]), odd_a = fma(-2.0F, d[1], d[3]);
    const Vector even_b = fma(-0.5F, d[2], d[4]), odd_b = fma(-0.5F, d[1], d[3]);
    v[0] = fma(-2.5F, d[2], add(d[0], d[4]));
    v[1] = fma(kA, odd_a, even_a);
    v[2] = fma(-kA, odd_a, even_a);
    v[3] = fma(kB, odd_b, even_b);
    v[4] = fma(-kB, odd_b, even_b);
    v[5] = fma(-2.5F, d[3], add(d[1], d[5]));
  }

  // G g: filter to points.
  static void filter_to_points(const Vector g[3], Vector v[kTile]) {
    const Vector even_a = mul(kNormA, fma(0.5F, g[2], g[0])), odd_a = mul(kNormA * kA, g[1]);
    const Vector even_b = mul(kNormB, fma(2.0F, g[2], g[0])), odd_b = mul(kNormB * kB, g[1]);
    v[0] = g[0];
    v[1] = add(even_a, odd_a);
    v[2] = sub(even_a, odd_a);
    v[3] = add(even_b, odd_b);
    v[4] = sub(even_b, odd_b);
    v[5] = g[2];
  }

  // A^T m: points to output.
  static void points_to_output(const Vector m[kTile], Vector y[kOut]) {
    const Vector even_a = add(m[1], m[2]), odd_a = sub(m[1], m[2]);
    const Vector even_b = add(m[3], m[4]), odd_b = sub(m[3], m[4]);
    y[0] = add(m[0], add(even_a, even_b));
    y[1] = fma(kB, odd_b, mul(kA, odd_a));
    y[2] = fma(2.0F, even_b, mul(0.5F, even_a));
    y[3] = fma(2.0F * kB, odd_b, fma(0.5F * kA, odd_a, m[5]));
  }

  // A y: a gradient of the output to points.
  static void output_to_points(const Vector y[kOut], Vector v[kTile]) {
    const Vector even_a = fma(0.5F, y[2], y[0]), odd_a = mul(kA, fma(0.5F, y[3], y[1]));
    const Vector even_b = fma(2.0F, y[2], y[0]), odd_b = mul(kB, fma(2.0F, y[3], y[1]));
    v[0] = y[0];
    v[1] = add(even_a, odd_a);
    v[2] = sub(even_a, odd_a);
    v[3] = add(even_b, odd_b);
    v[4] = sub(even_b, odd_b);
    v[5] = y[3];
  }

  // G^T m: points to a gradient of the filter.
  static void points_to_filter(const Vector m[kTile], Vector g[3]) {
    const Vector even_a = mul(kNormA, add(m[1], m[2])), odd_a = mul(kNormA * kA, sub(m[1], m[2]));
    const Vector even_b = mul(kNormB, add(m[3], m[4])), odd_b = mul(kNormB * kB, sub(m[3], m[4]));
    g[0] = add(m[0], add(even_a, even_b));
    g[1] = add(odd_a, odd_b);
    g[2] = fma(2.0F, even_b, fma(0.5F, even_a, m[5]));
  }

  // Applies transform(in, out) along the columns, then along the rows: from kIn x kIn to kTo x kTo. Callers pass
  // lambdas, because GCC does not inline functions passed by pointer.
  template <int kIn, int kTo, typename Load, typename Transform, typename Store>
  static void in_two_dimensions(const Load& load, const Transform& transform, const Store& store) {
    Vector columns[kTo][kIn];
#pragma GCC unroll 6
    for (int j = 0; j < kIn; ++j) {
      Vector in[kIn], out[kTo];
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) in[i] = load(i * kIn + j);
      transform(in, out);
#pragma GCC unroll 6
      for (int i = 0; i < kTo; ++i) columns[i][j] = out[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < kTo; ++i) {
      Vector out[kTo];
      transform(columns[i], out);
#pragma GCC unroll 6
      for (int j = 0; j < kTo; ++j) store(i * kTo + j, out[j]);
    }
  }

  // ---- transforms

  template <class E>
  static void filter_points(const WinogradTransforms::Weights& w, int64_t c, int64_t n, Vector points[kPoints]) {
    const int64_t count = c < w.c_count ? w.n_count - n : 0;
    const Mask mask = lanes(count);
    const char* base = static_cast<const char*>(w.weights) + (c * w.c_step + n * w.n_step) * E::kBytes;
    const auto load = [&](int tap) {
      const char* at = base + (w.flip ? 8 - tap : tap) * w.tap_step * E::kBytes;
      if (count <= 0) return Isa::set(0);
      return w.n_step == 1 ? E::load(at, 0, mask) : E::gather(at, w.n_step, mask);
    };
    in_two_dimensions<3, kTile>(
        load, [](const Vector* in, Vector* out) { filter_to_points(in, out); },
        [&](int p, Vector x) { points[p] = x; });
  }

  static void transform_weights(bool is_bf16, const WinogradTransforms::Weights& w, int64_t k_begin, int64_t k_end) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      for (int64_t k = k_begin; k < k_end; ++k) {
        for (int64_t n = 0; n < w.columns; n += kLanes) {
          const int64_t panel = n / w.width * w.width;
          const int64_t width = w.columns - panel < w.width ? w.columns - panel : w.width;
          uint32_t* words = w.words + panel * w.depth + k * width + (n - panel);
          Vector low[kPoints];
          if constexpr (is_f32<E>) {
            filter_points<E>(w, k, n, low);
            for (int p = 0; p < kPoints; ++p) Isa::store(Base::floats(words) + p * w.point, low[p]);
          } else {
            Vector high[kPoints];
            filter_points<E>(w, 2 * k, n, low);
            filter_points<E>(w, 2 * k + 1, n, high);
            for (int p = 0; p < kPoints; ++p) E::pair(low[p], high[p], words + p * w.point);
          }
        }
      }
    });
  }

  static void transform_src(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      constexpr int64_t kPerWord = 4 / E::kBytes;
      for_each_vector(channels, [&](int64_t c, Mask mask) {
        in_two_dimensions<kTile, kTile>(
            [&](int i) { return E::load(pixels[i], c, mask); },
            [](const Vector* in, Vector* out) { source_to_points(in, out); },
            [&](int p, Vector x) { E::store(words, c + p * kPerWord * point, Isa::lanes(kLanes), x); });
      });
    });
  }

  // Transforms two tiles of kSide x kSide pixels.
  template <int kSide, typename Transform>
  static void transform_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words, int64_t point,
                             int64_t row, const Transform& transform) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      for_each_vector(channels, [&](int64_t c, Mask mask) {
        const auto run = [&](int tile, const auto& store) {
          in_two_dimensions<kSide, kTile>([&](int i) { return E::load(pixels[tile * kSide * kSide + i], c, mask); },
                                          transform, store);
        };
        if constexpr (is_f32<E>) {
          for (int tile = 0; tile < 2; ++tile) {
            run(tile, [&](int p, Vector x) { Isa::store(Base::floats(words) + tile * row + c + p * point, x); });
          }
        } else {
          Vector low[kPoints];
          run(0, [&](int p, Vector x) { low[p] = x; });
          run(1, [&](int p, Vector x) { E::pair(low[p], x, words + c + p * point); });
        }
      });
    });
  }

  static void transform_src_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words,
                                 int64_t point, int64_t row) {
    transform_pair<kTile>(is_bf16, pixels, channels, words, point, row,
                          [](const Vector* in, Vector* out) { source_to_points(in, out); });
  }

  static void transform_diff_pair(bool is_bf16, const void* const* pixels, int64_t channels, uint32_t* words,
                                  int64_t point, int64_t row) {
    transform_pair<kOut>(is_bf16, pixels, channels, words, point, row,
                         [](const Vector* in, Vector* out) { output_to_points(in, out); });
  }

  static void transform_dst(bool is_bf16, const float* products, int64_t point, int64_t first, int64_t channels,
                            const float* bias, void* const* pixels) {
    with_element(is_bf16, [&](auto element) {
      using E = decltype(element);
      for (int64_t c = 0; c < channels; c += kLanes) {
        const Mask mask = lanes(channels - c);
        const Vector offset = bias != nullptr ? F32::load(bias, first + c, mask) : Isa::set(0);
        in_two_dimensions<kTile, kOut>([&](int p) { return Isa::load(products + p * point + c); },
                                       [](const Vector* in, Vector* out) { points_to_output(in, out); },
                                       [&](int i, Vector y) {
                                         if (pixels[i] != nullptr) E::store(pixels[i], first + c, mask, add(y, offset));
                                       });
      }
    });
  }

  static void transform_grad(const float* products, int64_t point, int64_t c_row, int64_t n_count, float* weights,
                             int64_t tap_step, int64_t k_begin, int64_t k_end) {
    for (int64_t k = k_begin; k < k_end; ++k) {
      for (int64_t n = 0; n < n_count; n += kLanes) {
        const float* at = products + k * c_row + n;
        in_two_dimensions<kTile, 3>(
            [&](int p) { return Isa::load(at + p * point); },
            [](const Vector* in, Vector* out) { points_to_filter(in, out); },
            [&](int tap, Vector g) { Isa::store(weights + tap * tap_step + k * n_count + n, lanes(n_count - n), g); });
      }
    }
  }

  static const WinogradTransforms* transforms() {
    static const WinogradTransforms transforms{transform_weights,   transform_src, transform_src_pair,
                                               transform_diff_pair, transform_dst, transform_grad};
    return &transforms;
  }
};

}  // namespace hourglass::kernels
