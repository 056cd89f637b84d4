// Scratch memory of a normalisation, and how it reads and writes a counterpart that is a slice of a larger image:
// shared by forward.cpp and backward.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/normalization/walk.h"

namespace hourglass::kernels {

// Two double sums per split and channel; folded and work vectors per worker; vectors of coefficients per channel group.
struct Scratch {
  static constexpr int64_t kCoefficients = 5, kWork = 3;

  static std::size_t bytes(const NormalizationWalk& walk) {
    return static_cast<std::size_t>((walk.splits * walk.channels() + walk.workers * walk.v.block) * 2) *
               sizeof(double) +
           static_cast<std::size_t>((walk.v.groups * kCoefficients + walk.workers * kWork) * walk.period) *
               sizeof(float);
  }
  Scratch(const NormalizationWalk& walk, void* memory)
      : walk_(walk),
        sums_(static_cast<double*>(memory)),
        folded_(sums_ + walk.splits * walk.channels() * 2),
        coefficients_(reinterpret_cast<float*>(folded_ + walk.workers * walk.v.block * 2)),
        work_(coefficients_ + walk.v.groups * kCoefficients * walk.period) {}

  // The two sums of a channel (padding channels included) in one split.
  [[nodiscard]] double* sum(int64_t split, int64_t channel) const {
    return sums_ + (split * walk_.channels() + channel) * 2;
  }
  [[nodiscard]] double* folded(int64_t worker, int64_t which) const {
    return folded_ + (worker * 2 + which) * walk_.v.block;
  }
  void clear(int64_t split, int64_t first, int64_t last) const {
    std::fill(sum(split, first * walk_.v.block), sum(split, last * walk_.v.block), 0.0);
  }
  // The two sums of a channel, over all splits in order.
  [[nodiscard]] std::pair<double, double> total(int64_t channel) const {
    double a = 0, b = 0;
    for (int64_t split = 0; split < walk_.splits; ++split) {
      a += sum(split, channel)[0];
      b += sum(split, channel)[1];
    }
    return {a, b};
  }
  [[nodiscard]] float* vector(int64_t worker, int64_t which) const {
    return work_ + (worker * kWork + which) * walk_.period;
  }
  [[nodiscard]] float* coefficient(int64_t group, int64_t which) const {
    return coefficients_ + (group * kCoefficients + which) * walk_.period;
  }
  void set(int64_t group, int64_t which, int64_t lane, double value) const {
    float* vector = coefficient(group, which);
    for (int64_t j = lane; j < walk_.period; j += walk_.v.block) vector[j] = static_cast<float>(value);
  }
  [[nodiscard]] Coefficients of(int64_t group) const {
    return {coefficient(group, 0), coefficient(group, 1), coefficient(group, 2), coefficient(group, 3),
            coefficient(group, 4)};
  }

 private:
  const NormalizationWalk& walk_;
  double *sums_, *folded_;
  float *coefficients_, *work_;
};

// Chunks of a counterpart. Where the loops can't step over the other channels of a slice, its pixels are copied side by
// side into a buffer that stays in the cache.
template <class T>
struct Slice {
  const Normalization& normalization;
  T* buffers;  // one per worker

  Slice(const Normalization& n, void* scratch)
      : normalization(n), buffers(reinterpret_cast<T*>(static_cast<char*>(scratch) + Scratch::bytes(n.walk))) {}

  // Elements from a period to the next.
  [[nodiscard]] int64_t step() const {
    const bool over = normalization.is_slice() && normalization.is_direct();
    return over ? normalization.stride : normalization.walk.period;
  }
  [[nodiscard]] T* buffer(int64_t worker) const { return buffers + worker * normalization.walk.chunk_elements(); }
  // Where the counterpart has the pixel that the walk has at `offset`.
  [[nodiscard]] int64_t at(int64_t offset) const {
    if (!normalization.is_slice()) return offset;
    return offset / normalization.walk.v.block * normalization.stride + normalization.first;
  }
  // Reads `pixels` pixels of the image, from the walk's `offset` on.
  const T* load(const T* whole, int64_t worker, int64_t offset, int64_t pixels) const {
    if (normalization.is_direct()) return whole + at(offset);
    const int64_t lanes = normalization.walk.v.block;
    copy_lanes(whole + at(offset), normalization.stride, buffer(worker), lanes, lanes, pixels);
    return buffer(worker);
  }
  // target() says where to write such pixels, store() then copies them to their place.
  T* target(T* whole, int64_t worker, int64_t offset) const {
    return normalization.is_direct() ? whole + at(offset) : buffer(worker);
  }
  void store(T* whole, int64_t worker, int64_t offset, int64_t pixels) const {
    if (normalization.is_direct()) return;
    const int64_t lanes = normalization.walk.v.block;
    copy_lanes(buffer(worker), lanes, whole + at(offset), normalization.stride, lanes, pixels);
  }
};

// Sets center, factor and offset of all channels from parameters and statistics. Padding channels stay zero.
inline void set_coefficients(const NormalizationWalk& walk, const Scratch& scratch, const float* scale,
                             const float* bias, const float* mean, const float* inv_std) {
  const int64_t block = walk.v.block;
  for (int64_t c = 0; c < walk.channels(); ++c) {
    const bool real = c < walk.v.c;
    scratch.set(c / block, 0, c % block, real ? static_cast<double>(mean[c]) : 0);
    scratch.set(c / block, 1, c % block, real ? static_cast<double>(scale[c]) * static_cast<double>(inv_std[c]) : 0);
    scratch.set(c / block, 2, c % block, real ? static_cast<double>(bias[c]) : 0);
  }
}

// Adds to `into` the sums of x and of its squares, given the sums of x - shift and of its squares (shifted data).
inline void add_sums(double count, double shift, double sum, double square, double* into) {
  const double mean = shift + sum / count;
  into[0] += count * mean;
  into[1] += square - sum * sum / count + count * mean * mean;
}

// Mean and 1 / sqrt(variance + epsilon) of one channel, from its sums.
struct Statistics {
  double mean, inv_std;
  Statistics(double sum, double squares, double count, double epsilon) : mean(sum / count) {
    inv_std = 1 / std::sqrt(std::max(squares / count - mean * mean, 0.0) + epsilon);
  }
};

}  // namespace hourglass::kernels
