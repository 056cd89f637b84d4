#include "ops/normalization/backward.h"

#include <type_traits>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/normalization/scratch.h"

namespace hourglass::kernels {
namespace {

// Chunks of a diff_dst that lies in memory.
template <class T>
class StoredGradient {
 public:
  StoredGradient(const Normalization& normalization, const NormalizationBackward& at)
      : slice_(normalization, at.scratch), diff_dst_(static_cast<const T*>(at.diff_dst)) {}
  [[nodiscard]] int64_t step() const { return slice_.step(); }
  const T* load(int64_t worker, int64_t offset, int64_t pixels) const {
    return slice_.load(diff_dst_, worker, offset, pixels);
  }

 private:
  Slice<T> slice_;
  const T* diff_dst_;
};

// y[i * channels + j] (+)= the sum over k of x[i * kInputs + k] * weights[k * channels + j], for `columns` of the
// channels. kAdds: added to y.
template <int kInputs, bool kAdds, int kColumns>
HG_CLONES void add_products(const float* x, int64_t pixels, const float* __restrict weights, int64_t channels,
                            int64_t columns, float* __restrict y) {
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = 0; i < pixels; ++i, x += kInputs, y += channels) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      float sum = kAdds ? y[j] : 0;
      for (int k = 0; k < kInputs; ++k) sum += x[k] * weights[k * channels + j];
      y[j] = sum;
    }
  }
}

template <int kInputs, bool kAdds>
void add_products(const float* x, int64_t pixels, const float* weights, int64_t channels, float* y) {
  const auto in_steps = [&](auto step) {
    for (int64_t j = 0; j < channels; j += step()) {
      add_products<kInputs, kAdds, step()>(x, pixels, weights + j, channels, step(), y + j);
    }
  };
  using std::integral_constant;
  if (channels % 32 == 0) return in_steps(integral_constant<int, 32>());
  if (channels % 16 == 0) return in_steps(integral_constant<int, 16>());
  if (channels == 8) return in_steps(integral_constant<int, 8>());
  add_products<kInputs, kAdds, 0>(x, pixels, weights, channels, channels, y);
}

// Chunks of the gradient of a pointwise convolution's source, computed as they are asked for (PointwiseGradient).
template <class T>
class ProductGradient {
 public:
  ProductGradient(const Normalization& normalization, const NormalizationBackward& at, const PointwiseGradient& from)
      : walk_(normalization.walk),
        channels_(from.channels),
        other_(static_cast<const T*>(at.diff_dst)),
        diff_(static_cast<const T*>(from.conv_diff_dst)),
        weights_(reinterpret_cast<float*>(static_cast<char*>(at.scratch) + weights_offset(walk_))),
        work_(weights_ + channels_ * walk_.v.c) {
    const auto* weights = static_cast<const T*>(from.conv_weights);
    for (int64_t k = 0; k < channels_; ++k) {
      for (int64_t c = 0; c < walk_.v.c; ++c) weights_[k * walk_.v.c + c] = kernels::load(weights + c * channels_ + k);
    }
  }
  static std::size_t scratch_bytes(const NormalizationWalk& walk, int64_t channels) {
    return weights_offset(walk) +
           static_cast<std::size_t>(channels * walk.v.c + walk.workers * work_floats(walk, channels)) * sizeof(float);
  }

  [[nodiscard]] int64_t step() const { return walk_.period; }
  const float* load(int64_t worker, int64_t offset, int64_t pixels) const {
    float* dy = work_ + worker * work_floats(walk_, channels_);
    float* x = dy + walk_.chunk_elements();
    widen(diff_ + offset / walk_.v.c * channels_, pixels * channels_, x);
    if (other_ != nullptr) widen(other_ + offset, pixels * walk_.v.c, dy);
    using std::integral_constant;
    const auto add = [&](auto inputs) {
      if (other_ != nullptr) {
        add_products<inputs(), true>(x, pixels, weights_, walk_.v.c, dy);
      } else {
        add_products<inputs(), false>(x, pixels, weights_, walk_.v.c, dy);
      }
    };
    switch (channels_) {
      case 1: add(integral_constant<int, 1>()); break;
      case 2: add(integral_constant<int, 2>()); break;
      case 3: add(integral_constant<int, 3>()); break;
      default: add(integral_constant<int, 4>()); break;
    }
    return dy;
  }

 private:
  static std::size_t weights_offset(const NormalizationWalk& walk) { return (Scratch::bytes(walk) + 63) / 64 * 64; }
  static int64_t work_floats(const NormalizationWalk& walk, int64_t channels) {
    return (walk.chunk_elements() + walk.chunk_pixels * channels + 15) / 16 * 16;
  }

  const NormalizationWalk& walk_;
  int64_t channels_;
  const T *other_, *diff_;
  float *weights_, *work_;
};

// One normalisation's share of the two backward passes.
template <class T, class Gradient>
class Backward {
 public:
  Backward(const Normalization& normalization, const NormalizationBackward& at, const Gradient& gradient)
      : at_(at),
        walk_(normalization.walk),
        alpha_(normalization.alpha),
        scratch_(walk_, at.scratch),
        gradient_(gradient),
        src_(static_cast<const T*>(at.src)),
        diff_src_(static_cast<T*>(at.diff_src)) {
    // Every share reads the coefficients of its own groups, so all are set before the batches start.
    set_coefficients(walk_, scratch_, at.scale, at.bias, at.mean, at.inv_std);
  }
  [[nodiscard]] const NormalizationWalk& walk() const { return walk_; }

  void clear(int64_t split, int64_t first, int64_t last) const { scratch_.clear(split, first, last); }
  void add_sums(int64_t worker, int64_t split, int64_t group, int64_t offset, int64_t pixels) const {
    const int64_t block = walk_.v.block;
    float *sum = scratch_.vector(worker, 0), *product = scratch_.vector(worker, 1);
    grad_sums_row(gradient_.load(worker, offset, pixels), gradient_.step(), src_ + offset, pixels * block, walk_.period,
                  scratch_.of(group), alpha_, sum, product);
    double *sums = scratch_.folded(worker, 0), *products = scratch_.folded(worker, 1);
    fold_row(sum, walk_.period, block, sums);
    fold_row(product, walk_.period, block, products);
    for (int64_t lane = 0; lane < block; ++lane) {
      double* into = scratch_.sum(split, group * block + lane);
      into[0] += sums[lane];
      into[1] += products[lane];
    }
  }
  void finish(int64_t first, int64_t last) const {
    const int64_t block = walk_.v.block;
    for (int64_t c = first * block; c < last * block; ++c) {
      const int64_t group = c / block, lane = c % block;
      double slope = 0, constant = 0;
      if (c < walk_.v.c) {
        const auto [sum, product] = scratch_.total(c);
        const auto inverse = static_cast<double>(at_.inv_std[c]);
        at_.diff_bias[c] = static_cast<float>(sum);
        at_.diff_scale[c] = static_cast<float>(product * inverse);
        const double factor = static_cast<double>(at_.scale[c]) * inverse;
        slope = -factor * inverse * inverse * product / walk_.count();
        constant = -factor * sum / walk_.count();
      }
      scratch_.set(group, 3, lane, slope);
      scratch_.set(group, 4, lane, constant);
    }
  }
  void apply(int64_t worker, int64_t group, int64_t offset, int64_t pixels) const {
    grad_apply_row(gradient_.load(worker, offset, pixels), gradient_.step(), src_ + offset, diff_src_ + offset,
                   pixels * walk_.v.block, walk_.period, scratch_.of(group), alpha_);
  }

 private:
  const NormalizationBackward& at_;
  const NormalizationWalk& walk_;
  float alpha_;
  Scratch scratch_;
  const Gradient& gradient_;
  const T* src_;
  T* diff_src_;
};

// Runs one or several backward passes together, chunk by chunk. Several must be channels-last, in one group, and cut
// alike.
template <class First, class... Others>
void run_backward(const First& leader, const Others&... others) {
  const NormalizationWalk& walk = leader.walk();
  const auto elsewhere = [&](const auto& other, int64_t offset) {
    return offset / walk.v.block * other.walk().v.block;
  };
  walk.run(
      [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
        leader.clear(split, first, last);
        (others.clear(split, first, last), ...);
        walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
          leader.add_sums(worker, split, group, offset, pixels);
          (others.add_sums(worker, split, group, elsewhere(others, offset), pixels), ...);
        });
      },
      [&](int64_t first, int64_t last) {
        leader.finish(first, last);
        (others.finish(first, last), ...);
      },
      [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
        walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
          leader.apply(worker, group, offset, pixels);
          (others.apply(worker, group, elsewhere(others, offset), pixels), ...);
        });
      });
}

}  // namespace

template <class T>
void normalize_backward(const Normalization& normalization, const NormalizationBackward& at) {
  const StoredGradient<T> gradient(normalization, at);
  run_backward(Backward<T, StoredGradient<T>>(normalization, at, gradient));
}

std::size_t pointwise_scratch_bytes(const Normalization& normalization, int64_t channels) {
  return ProductGradient<float>::scratch_bytes(normalization.walk, channels);
}

template <class T>
void normalize_backward(const Normalization& normalization, const NormalizationBackward& at,
                        const PointwiseGradient& from) {
  const ProductGradient<T> gradient(normalization, at, from);
  run_backward(Backward<T, ProductGradient<T>>(normalization, at, gradient));
}

template <class T>
void normalize_backward(const Normalization& a, const NormalizationBackward& at_a, const Normalization& b,
                        const NormalizationBackward& at_b) {
  const StoredGradient<T> of_a(a, at_a), of_b(b, at_b);
  run_backward(Backward<T, StoredGradient<T>>(a, at_a, of_a), Backward<T, StoredGradient<T>>(b, at_b, of_b));
}

template void normalize_backward<float>(const Normalization&, const NormalizationBackward&);
template void normalize_backward<BFloat16>(const Normalization&, const NormalizationBackward&);
template void normalize_backward<float>(const Normalization&, const NormalizationBackward&, const PointwiseGradient&);
template void normalize_backward<BFloat16>(const Normalization&, const NormalizationBackward&,
                                           const PointwiseGradient&);
template void normalize_backward<float>(const Normalization&, const NormalizationBackward&, const Normalization&,
                                        const NormalizationBackward&);
template void normalize_backward<BFloat16>(const Normalization&, const NormalizationBackward&, const Normalization&,
                                           const NormalizationBackward&);

}  // namespace hourglass::kernels
