#include "ops/normalization/batch_normalization.h"

#include <cmath>

#include "ops/simd/bf16_rows.h"
#include "ops/loops/copy_box.h"
#include "ops/memory/onednn.h"

namespace hourglass::detail {
namespace {

// ---- row loops
//
// A row is any run of whole pixels. Per-channel numbers come as vectors of `period` elements, a multiple of the
// layout's block, in which the channels repeat: one loop then serves row-major, blocked and channels-last alike.
//
// The periods of a row lie below each other, as a table's lines do, and the loops go down its columns: so many of them
// at a time, a constant, that all their numbers and sums stay in AVX-512's registers.

using Coefficients = NormalizationCoefficients;

struct Columns {
  int64_t first, count;  // of a period
  int64_t line, lines;
};

// fn(columns, constant) for a row of `count` elements, where constant() is columns.count, or 0 for any.
template <typename Function>
void for_columns(int64_t count, int64_t period, const Function& fn) {
  const int64_t lines = count / period, rest = count % period;
  const auto in_steps = [&](auto step) {
    for (int64_t first = 0; first < period; first += step()) fn(Columns{first, step(), 0, lines}, step);
  };
  using std::integral_constant;
  if (period % 64 == 0) {
    in_steps(integral_constant<int, 64>());
  } else if (period % 48 == 0) {
    in_steps(integral_constant<int, 48>());
  } else if (period % 32 == 0) {
    in_steps(integral_constant<int, 32>());
  } else if (period % 16 == 0) {
    in_steps(integral_constant<int, 16>());
  } else {
    fn(Columns{0, period, 0, lines}, integral_constant<int, 0>());
  }
  if (rest > 0) fn(Columns{0, rest, lines, 1}, integral_constant<int, 0>());
}

// sum[j] = the sum of the elements congruent to j.
template <class T>
HG_CLONES void sum_row(const T* src, int64_t count, int64_t period, float* sum) {
  for (int64_t j = 0; j < period; ++j) sum[j] = 0;
  for (int64_t i = 0; i < count; i += period) {
    const T* x = src + i;
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) sum[j] += load(x + j);
  }
}

template <class T, int kColumns>
HG_CLONES void add_moments_columns(const T* x, int64_t period, int64_t lines, int64_t columns,
                                   const float* __restrict shift, float* __restrict sum, float* __restrict square) {
  if constexpr (kColumns > 0) columns = kColumns;
  float local[2][std::max(kColumns, 1)];
  float *a = kColumns > 0 ? local[0] : sum, *b = kColumns > 0 ? local[1] : square;
  if constexpr (kColumns > 0) {
    for (int64_t j = 0; j < columns; ++j) a[j] = sum[j];
    for (int64_t j = 0; j < columns; ++j) b[j] = square[j];
  }
  for (int64_t i = 0; i < lines; ++i, x += period) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const float d = load(x + j) - shift[j];
      a[j] += d;
      b[j] += d * d;
    }
  }
  if constexpr (kColumns > 0) {
    for (int64_t j = 0; j < columns; ++j) sum[j] = a[j];
    for (int64_t j = 0; j < columns; ++j) square[j] = b[j];
  }
}

// Adds (src - shift) and its squares.
template <class T>
void add_moments_row(const T* src, int64_t count, int64_t period, const float* shift, float* sum, float* square) {
  for_columns(count, period, [&](const Columns& c, auto constant) {
    add_moments_columns<T, constant()>(src + c.line * period + c.first, period, c.lines, c.count, shift + c.first,
                                       sum + c.first, square + c.first);
  });
}

// out[lane] = the sum of a period's elements that belong to it, in double.
HG_CLONES void fold_row(const float* vector, int64_t period, int64_t block, double* out) {
  if (block == 1) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < period; ++j) sum += static_cast<double>(vector[j]);
    *out = sum;
    return;
  }
  for (int64_t lane = 0; lane < block; ++lane) out[lane] = 0;
  for (int64_t j = 0; j < period; j += block) {
    for (int64_t lane = 0; lane < block; ++lane) out[lane] += static_cast<double>(vector[j + lane]);
  }
}

template <class T, int kColumns>
HG_CLONES void normalize_columns(const T* x, int64_t period, T* y, int64_t step, int64_t lines, int64_t columns,
                                 const float* __restrict center, const float* __restrict factor,
                                 const float* __restrict offset, float alpha) {
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = 0; i < lines; ++i, x += period, y += step) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const float value = (load(x + j) - center[j]) * factor[j] + offset[j];
      store(y + j, value > 0 ? value : alpha * value);
    }
  }
}

// The counterpart's periods are `step` elements apart.
template <class T>
void normalize_row(const T* src, T* dst, int64_t step, int64_t count, int64_t period, const Coefficients& k,
                   float alpha) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    if (const Bf16Rows* rows = bf16_rows()) return rows->normalize(src, dst, step, count, period, k, alpha);
  }
  for_columns(count, period, [&](const Columns& c, auto constant) {
    normalize_columns<T, constant()>(src + c.line * period + c.first, period, dst + c.line * step + c.first, step,
                                     c.lines, c.count, k.center + c.first, k.factor + c.first, k.offset + c.first,
                                     alpha);
  });
}

template <class T, class D, int kColumns>
HG_CLONES void grad_sums_columns(const D* dy, int64_t step, const T* x, int64_t period, int64_t lines, int64_t columns,
                                 const float* __restrict center, const float* __restrict factor,
                                 const float* __restrict offset, float alpha, float* __restrict sum,
                                 float* __restrict product) {
  if constexpr (kColumns > 0) columns = kColumns;
  float local[2][std::max(kColumns, 1)];
  float *a = kColumns > 0 ? local[0] : sum, *b = kColumns > 0 ? local[1] : product;
  if constexpr (kColumns > 0) {
    for (int64_t j = 0; j < columns; ++j) a[j] = b[j] = 0;
  }
  for (int64_t i = 0; i < lines; ++i, dy += step, x += period) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const float d = load(x + j) - center[j];
      const float g = load(dy + j);
      const float z = d * factor[j] + offset[j] > 0 ? g : alpha * g;
      a[j] += z;
      b[j] += z * d;
    }
  }
  if constexpr (kColumns > 0) {
    for (int64_t j = 0; j < columns; ++j) sum[j] = a[j];
    for (int64_t j = 0; j < columns; ++j) product[j] = b[j];
  }
}

// The sums of dz and of dz * (src - center). diff_dst has elements of its own type.
template <class T, class D>
void grad_sums_row(const D* diff_dst, int64_t step, const T* src, int64_t count, int64_t period, const Coefficients& k,
                   float alpha, float* sum, float* product) {
  std::fill_n(sum, period, 0.0F);
  std::fill_n(product, period, 0.0F);
  for_columns(count, period, [&](const Columns& c, auto constant) {
    grad_sums_columns<T, D, constant()>(diff_dst + c.line * step + c.first, step, src + c.line * period + c.first,
                                        period, c.lines, c.count, k.center + c.first, k.factor + c.first,
                                        k.offset + c.first, alpha, sum + c.first, product + c.first);
  });
}

template <class T, class D, int kColumns>
HG_CLONES void grad_apply_columns(const D* dy, int64_t step, const T* x, T* dx, int64_t period, int64_t lines,
                                  int64_t columns, const float* __restrict center, const float* __restrict factor,
                                  const float* __restrict offset, const float* __restrict slope,
                                  const float* __restrict constant, float alpha) {
  if constexpr (kColumns > 0) columns = kColumns;
  for (int64_t i = 0; i < lines; ++i, dy += step, x += period, dx += period) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const float d = load(x + j) - center[j];
      const float g = load(dy + j);
      const float z = d * factor[j] + offset[j] > 0 ? g : alpha * g;
      store(dx + j, factor[j] * z + (slope[j] * d + constant[j]));
    }
  }
}

template <class T, class D>
void grad_apply_row(const D* diff_dst, int64_t step, const T* src, T* diff_src, int64_t count, int64_t period,
                    const Coefficients& k, float alpha) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    if (const Bf16Rows* rows = bf16_rows()) {
      if constexpr (std::is_same_v<D, float>) {
        return rows->grad_apply_wide(diff_dst, step, src, diff_src, count, period, k, alpha);
      } else {
        return rows->grad_apply(diff_dst, step, src, diff_src, count, period, k, alpha);
      }
    }
  }
  for_columns(count, period, [&](const Columns& c, auto constant) {
    const int64_t at = c.line * period + c.first;
    grad_apply_columns<T, D, constant()>(diff_dst + c.line * step + c.first, step, src + at, diff_src + at, period,
                                         c.lines, c.count, k.center + c.first, k.factor + c.first, k.offset + c.first,
                                         k.slope + c.first, k.constant + c.first, alpha);
  });
}

// ---- scratch memory

// Scratch memory: two double sums per split and channel; folded and work vectors per worker; coefficient vectors per
// group.
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
  // Over all splits, in order.
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

// From the sums of (x - shift) and of its squares to those of x and its squares.
void add_sums(double count, double shift, double sum, double square, double* into) {
  const double mean = shift + sum / count;
  into[0] += count * mean;
  into[1] += square - sum * sum / count + count * mean * mean;
}

// Adds a chunk's count * mean and sum of squares to its split's sums. Squares are taken around a mean of the chunk, in
// float; the chunks are put together in double, where a mean of a million standard deviations still leaves digits.
// The mean of the chunk's first eighth is near enough: it is never further than sqrt(7) of the chunk's own standard
// deviations from the chunk's mean (Cauchy-Schwarz on the eighth's deviation), so at most a factor 8 cancels.
template <class T>
void add_moments(const NormalizationWalk& walk, const Scratch& scratch, int64_t worker, int64_t split, int64_t group,
                 const T* src, int64_t pixels) {
  const int64_t block = walk.v.block, period = walk.period;
  float *sum = scratch.vector(worker, 0), *square = scratch.vector(worker, 1), *shift = scratch.vector(worker, 2);
  const int64_t some = std::min(pixels, (pixels / 8 * block + period - 1) / period * period / block + 1);
  double *sums = scratch.folded(worker, 0), *squares = scratch.folded(worker, 1);
  sum_row(src, some * block, period, sum);
  fold_row(sum, period, block, sums);
  for (int64_t lane = 0; lane < block; ++lane) {
    const auto center = static_cast<float>(sums[lane] / static_cast<double>(some));
    for (int64_t j = lane; j < period; j += block) shift[j] = center;
  }
  std::fill_n(sum, period, 0.0F);
  std::fill_n(square, period, 0.0F);
  add_moments_row(src, pixels * block, period, shift, sum, square);
  fold_row(sum, period, block, sums);
  fold_row(square, period, block, squares);
  const auto count = static_cast<double>(pixels);
  for (int64_t lane = 0; lane < block; ++lane) {
    add_sums(count, static_cast<double>(shift[lane]), sums[lane], squares[lane],
             scratch.sum(split, group * block + lane));
  }
}

// The moments of one split of groups [first, last).
template <class T>
void reduce_moments(const NormalizationWalk& walk, const Scratch& scratch, int64_t worker, int64_t split, int64_t first,
                    int64_t last, const T* src) {
  scratch.clear(split, first, last);
  walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
    add_moments(walk, scratch, worker, split, group, src + offset, pixels);
  });
}

struct Statistics {
  double mean, inv_std;
  Statistics(double sum, double squares, double count, double epsilon) : mean(sum / count) {
    inv_std = 1 / std::sqrt(std::max(squares / count - mean * mean, 0.0) + epsilon);
  }
};
// Of a channel, from all splits' moments.
Statistics statistics_of(const NormalizationWalk& walk, const Scratch& scratch, int64_t channel, double epsilon) {
  const auto [sum, squares] = scratch.total(channel);
  return {sum, squares, walk.count(), epsilon};
}

// A chunk of a counterpart. Where it is a slice whose pixels are periods, the loops step over what is not ours;
// narrower slices are put side by side, in the cache.
template <class T>
struct Slice {
  const Normalization& normalization;
  T* buffers;  // one per worker

  Slice(const Normalization& n, void* scratch)
      : normalization(n), buffers(reinterpret_cast<T*>(static_cast<char*>(scratch) + Scratch::bytes(n.walk))) {}

  // From a period to the next.
  [[nodiscard]] int64_t step() const {
    const bool over = normalization.is_slice() && normalization.is_direct();
    return over ? normalization.stride : normalization.walk.period;
  }
  [[nodiscard]] T* buffer(int64_t worker) const { return buffers + worker * normalization.walk.chunk_elements(); }
  // Of the pixel at the walk's own `offset`.
  [[nodiscard]] int64_t at(int64_t offset) const {
    if (!normalization.is_slice()) return offset;
    return offset / normalization.walk.v.block * normalization.stride + normalization.first;
  }
  // `pixels` of the whole, from the walk's own `offset` on.
  const T* load(const T* whole, int64_t worker, int64_t offset, int64_t pixels) const {
    if (normalization.is_direct()) return whole + at(offset);
    const int64_t lanes = normalization.walk.v.block;
    copy_lanes(whole + at(offset), normalization.stride, buffer(worker), lanes, lanes, pixels);
    return buffer(worker);
  }
  // Where to write them, and what puts them in their place then.
  T* target(T* whole, int64_t worker, int64_t offset) const {
    return normalization.is_direct() ? whole + at(offset) : buffer(worker);
  }
  void store(T* whole, int64_t worker, int64_t offset, int64_t pixels) const {
    if (normalization.is_direct()) return;
    const int64_t lanes = normalization.walk.v.block;
    copy_lanes(buffer(worker), lanes, whole + at(offset), normalization.stride, lanes, pixels);
  }
};

// From parameters and statistics, for all channels; padding stays zero.
void set_coefficients(const NormalizationWalk& walk, const Scratch& scratch, const float* scale, const float* bias,
                      const float* mean, const float* inv_std) {
  const int64_t block = walk.v.block;
  for (int64_t c = 0; c < walk.channels(); ++c) {
    const bool real = c < walk.v.c;
    scratch.set(c / block, 0, c % block, real ? static_cast<double>(mean[c]) : 0);
    scratch.set(c / block, 1, c % block, real ? static_cast<double>(scale[c]) * static_cast<double>(inv_std[c]) : 0);
    scratch.set(c / block, 2, c % block, real ? static_cast<double>(bias[c]) : 0);
  }
}

}  // namespace

const Bf16Rows* bf16_rows() {
  static const Bf16Rows* const kRows = has_isa(dnnl::cpu_isa::avx512_core_bf16) ? bf16_rows_avx512() : nullptr;
  return kRows;
}

template <class T>
void sum_periods(const T* src, int64_t count, int64_t period, float* sum) {
  sum_row(src, count, period, sum);
}

std::size_t Normalization::scratch_bytes(std::size_t element_bytes) const {
  const int64_t chunks = is_direct() ? 0 : walk.workers * walk.chunk_elements();
  return Scratch::bytes(walk) + static_cast<std::size_t>(chunks) * element_bytes;
}

template <class T>
void normalize_forward(const Normalization& normalization, const NormalizationForward& at, double epsilon) {
  const NormalizationWalk& walk = normalization.walk;
  const Scratch scratch(walk, at.scratch);
  const Slice<T> slice(normalization, at.scratch);
  const int64_t block = walk.v.block;
  const auto* src = static_cast<const T*>(at.src);
  auto* dst = static_cast<T*>(at.dst);
  const auto reduce = [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
    reduce_moments(walk, scratch, worker, split, first, last, src);
  };
  const auto finish = [&](int64_t first, int64_t last) {
    for (int64_t c = first * block; c < last * block; ++c) {
      const int64_t group = c / block, lane = c % block;
      if (c >= walk.v.c) {  // padding stays zero
        for (int64_t which = 0; which < 3; ++which) scratch.set(group, which, lane, 0);
        continue;
      }
      const auto [mean, inv_std] = statistics_of(walk, scratch, c, epsilon);
      at.mean[c] = static_cast<float>(mean);
      at.inv_std[c] = static_cast<float>(inv_std);
      // src - (the mean's float) is exact near the mean; what the float lacks goes into the offset.
      const double factor = static_cast<double>(at.scale[c]) * inv_std;
      scratch.set(group, 0, lane, mean);
      scratch.set(group, 1, lane, factor);
      scratch.set(group, 2, lane, static_cast<double>(at.bias[c]) - (mean - static_cast<double>(at.mean[c])) * factor);
    }
  };
  walk.run(reduce, finish, [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
    walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
      normalize_row(src + offset, slice.target(dst, worker, offset), slice.step(), pixels * block, walk.period,
                    scratch.of(group), normalization.alpha);
      slice.store(dst, worker, offset, pixels);
    });
  });
}

template <class T>
void normalization_statistics(const Normalization& normalization, const NormalizationStatistics& at, double epsilon) {
  const NormalizationWalk& walk = normalization.walk;
  const Scratch scratch(walk, at.scratch);
  const auto* src = static_cast<const T*>(at.src);
  const auto reduce = [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
    reduce_moments(walk, scratch, worker, split, first, last, src);
  };
  const auto finish = [&](int64_t first, int64_t last) {
    for (int64_t c = first * walk.v.block; c < std::min(last * walk.v.block, walk.v.c); ++c) {
      const auto [mean, inv_std] = statistics_of(walk, scratch, c, epsilon);
      at.mean[c] = static_cast<float>(mean);
      at.inv_std[c] = static_cast<float>(inv_std);
    }
  };
  walk.run(reduce, finish, [](int64_t, int64_t, int64_t, int64_t) {});
}

template <class T>
void normalize_apply(const Normalization& normalization, const NormalizationApply& at) {
  const NormalizationWalk& walk = normalization.walk;
  const Scratch scratch(walk, at.scratch);
  const Slice<T> slice(normalization, at.scratch);
  const auto* src = static_cast<const T*>(at.src);
  auto* dst = static_cast<T*>(at.dst);
  set_coefficients(walk, scratch, at.scale, at.bias, at.mean, at.inv_std);
  walk.for_parts([&](int64_t worker, int64_t part) {
    walk.for_share(part, walk.parts, 0, walk.v.groups, [&](int64_t group, int64_t offset, int64_t pixels) {
      normalize_row(src + offset, slice.target(dst, worker, offset), slice.step(), pixels * walk.v.block, walk.period,
                    scratch.of(group), normalization.alpha);
      slice.store(dst, worker, offset, pixels);
    });
  });
}

namespace {

// Chunks of a gradient that lies in memory.
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

// y[i * channels + j] = the sum over k of x[i * kInputs + k] * weights[k * channels + j] for `columns` of the channels,
// or is added to.
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

// Chunks of the gradient behind a pointwise convolution, made as they are asked for.
template <class T>
class ProductGradient {
 public:
  ProductGradient(const Normalization& normalization, const NormalizationBackward& at, const PointwiseGradient& from)
      : walk_(normalization.walk),
        channels_(from.channels),
        other_(static_cast<const T*>(at.diff_dst)),
        diff_(static_cast<const T*>(from.diff_dst)),
        weights_(reinterpret_cast<float*>(static_cast<char*>(at.scratch) + weights_place(walk_))),
        work_(weights_ + channels_ * walk_.v.c) {
    const auto* weights = static_cast<const T*>(from.weights);
    for (int64_t k = 0; k < channels_; ++k) {
      for (int64_t c = 0; c < walk_.v.c; ++c) weights_[k * walk_.v.c + c] = detail::load(weights + c * channels_ + k);
    }
  }
  static std::size_t scratch_bytes(const NormalizationWalk& walk, int64_t channels) {
    return weights_place(walk) +
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
  static std::size_t weights_place(const NormalizationWalk& walk) { return (Scratch::bytes(walk) + 63) / 64 * 64; }
  static int64_t work_floats(const NormalizationWalk& walk, int64_t channels) {
    return (walk.chunk_elements() + walk.chunk_pixels * channels + 15) / 16 * 16;
  }

  const NormalizationWalk& walk_;
  int64_t channels_;
  const T *other_, *diff_;
  float *weights_, *work_;
};

// One normalisation's share of the two passes back.
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
    // Every share reads the coefficients of its own groups, so they are made before the batches start.
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

// All of them chunk by chunk. Several are channels-last, in one group, and cut alike.
template <class First, class... Others>
void run_backward(const First& first_part, const Others&... others) {
  const NormalizationWalk& walk = first_part.walk();
  const auto elsewhere = [&](const auto& part, int64_t offset) { return offset / walk.v.block * part.walk().v.block; };
  walk.run(
      [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
        first_part.clear(split, first, last);
        (others.clear(split, first, last), ...);
        walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
          first_part.add_sums(worker, split, group, offset, pixels);
          (others.add_sums(worker, split, group, elsewhere(others, offset), pixels), ...);
        });
      },
      [&](int64_t first, int64_t last) {
        first_part.finish(first, last);
        (others.finish(first, last), ...);
      },
      [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
        walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
          first_part.apply(worker, group, offset, pixels);
          (others.apply(worker, group, elsewhere(others, offset), pixels), ...);
        });
      });
}

}  // namespace

void cut_finer(NormalizationWalk& walk) {
  constexpr int64_t kPieces = 4;
  const int64_t grain = walk.period / walk.v.block;
  walk.chunk_pixels = std::max(grain, walk.chunk_pixels / kPieces / grain * grain);
  walk.chunks = (walk.row_pixels + walk.chunk_pixels - 1) / walk.chunk_pixels;
}

void cut_alike(NormalizationWalk& a, NormalizationWalk& b) {
  const int64_t grain = std::lcm(a.period / a.v.block, b.period / b.v.block);
  const int64_t pixels = std::max(grain, std::min(a.chunk_pixels, b.chunk_pixels) / grain * grain);
  const int64_t workers = std::max(a.workers, b.workers), parts = std::max(a.parts, b.parts),
                splits = std::max(a.splits, b.splits);
  for (NormalizationWalk* walk : {&a, &b}) {
    walk->chunk_pixels = pixels;
    walk->chunks = (walk->row_pixels + pixels - 1) / pixels;
    walk->workers = workers;
    walk->parts = parts;
    walk->splits = splits;
  }
}

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

PixelNormalizer::PixelNormalizer(int64_t channels, int64_t stride, float alpha)
    : channels_(channels), stride_(stride), period_(loop_period(channels)), alpha_(alpha) {
  if (stride != channels && channels % 16 == 0) period_ = channels;
}

void PixelNormalizer::set_coefficients(const float* scale, const float* bias, const float* mean, const float* inv_std,
                                       float* coefficients) const {
  for (int64_t j = 0; j < period_; ++j) {
    const int64_t c = j % channels_;
    coefficients[j] = mean[c];
    coefficients[period_ + j] = static_cast<float>(static_cast<double>(scale[c]) * static_cast<double>(inv_std[c]));
    coefficients[2 * period_ + j] = bias[c];
  }
}

template <class T>
void PixelNormalizer::run(const T* src, int64_t pixels, const float* coefficients, T* dst, T* buffer) const {
  const Coefficients k{coefficients, coefficients + period_, coefficients + 2 * period_, nullptr, nullptr};
  if (is_direct()) {
    return normalize_row(src, dst, stride_ == channels_ ? period_ : stride_, pixels * channels_, period_, k, alpha_);
  }
  normalize_row(src, buffer, period_, pixels * channels_, period_, k, alpha_);
  copy_lanes(buffer, channels_, dst, stride_, channels_, pixels);
}

// Each part has its channels' sums, in double, and the sums of what was added since they were: in float, around the
// mean of the pixels that were folded before. Of the first ones, a mean of some of them serves, as in add_moments().
struct MomentSums::Part {
  double *sums, *squares;  // folded
  double* both;            // of all channels: sum and square, in turn
  float *shift, *sum, *square;
  int64_t* pixels;  // that the float sums are of, and all
};

MomentSums::MomentSums(int64_t channels, int64_t parts)
    : channels_(channels), period_(loop_period(channels)), parts_(parts) {}

std::size_t MomentSums::part_bytes() const {
  const std::size_t bytes = static_cast<std::size_t>(4 * channels_) * sizeof(double) + 2 * sizeof(int64_t) +
                            static_cast<std::size_t>(3 * period_) * sizeof(float);
  return (bytes + 63) / 64 * 64;
}

MomentSums::Part MomentSums::part_at(void* scratch, int64_t index) const {
  auto* sums = reinterpret_cast<double*>(static_cast<char*>(scratch) + static_cast<std::size_t>(index) * part_bytes());
  auto* pixels = reinterpret_cast<int64_t*>(sums + 4 * channels_);
  auto* shift = reinterpret_cast<float*>(pixels + 2);
  return {sums, sums + channels_, sums + 2 * channels_, shift, shift + period_, shift + 2 * period_, pixels};
}

void MomentSums::clear(void* scratch) const { std::fill_n(static_cast<char*>(scratch), scratch_bytes(), '\0'); }

template <class T>
void MomentSums::add(void* scratch, int64_t part, const T* pixels, int64_t count) const {
  const Part p = part_at(scratch, part);
  if (p.pixels[1] == 0) {
    const int64_t some = std::min(count, kFirst);
    sum_row(pixels, some * channels_, period_, p.sum);
    fold_row(p.sum, period_, channels_, p.sums);
    for (int64_t j = 0; j < period_; ++j) {
      p.shift[j] = static_cast<float>(p.sums[j % channels_] / static_cast<double>(some));
      p.sum[j] = 0;
    }
  }
  add_moments_row(pixels, count * channels_, period_, p.shift, p.sum, p.square);
  p.pixels[0] += count;
  p.pixels[1] += count;
  // While there are few, each mean is of as many pixels as are then summed around it.
  if (p.pixels[0] * channels_ >= kChunk || 2 * p.pixels[0] >= p.pixels[1]) fold(p);
}

void MomentSums::end_part(void* scratch, int64_t part) const { fold(part_at(scratch, part)); }

// The float sums to the double ones; the next are taken around these pixels' mean.
void MomentSums::fold(const Part& p) const {
  if (p.pixels[0] == 0) return;
  fold_row(p.sum, period_, channels_, p.sums);
  fold_row(p.square, period_, channels_, p.squares);
  const auto count = static_cast<double>(p.pixels[0]);
  for (int64_t c = 0; c < channels_; ++c) {
    const auto shift = static_cast<double>(p.shift[c]);
    add_sums(count, shift, p.sums[c], p.squares[c], p.both + 2 * c);
    for (int64_t j = c; j < period_; j += channels_) p.shift[j] = static_cast<float>(shift + p.sums[c] / count);
  }
  std::fill_n(p.sum, period_, 0.0F);
  std::fill_n(p.square, period_, 0.0F);
  p.pixels[0] = 0;
}

void MomentSums::finish(void* scratch, double epsilon, float* mean, float* inv_std) const {
  const Part all = part_at(scratch, 0);
  for (int64_t i = 1; i < parts_; ++i) {
    const Part p = part_at(scratch, i);
    for (int64_t c = 0; c < 2 * channels_; ++c) all.both[c] += p.both[c];
    all.pixels[1] += p.pixels[1];
  }
  for (int64_t c = 0; c < channels_; ++c) {
    const Statistics statistics(all.both[2 * c], all.both[2 * c + 1], static_cast<double>(all.pixels[1]), epsilon);
    mean[c] = static_cast<float>(statistics.mean);
    inv_std[c] = static_cast<float>(statistics.inv_std);
  }
}

template void MomentSums::add<float>(void*, int64_t, const float*, int64_t) const;
template void MomentSums::add<BFloat16>(void*, int64_t, const BFloat16*, int64_t) const;
template void sum_periods<float>(const float*, int64_t, int64_t, float*);
template void sum_periods<BFloat16>(const BFloat16*, int64_t, int64_t, float*);
template void PixelNormalizer::run<float>(const float*, int64_t, const float*, float*, float*) const;
template void PixelNormalizer::run<BFloat16>(const BFloat16*, int64_t, const float*, BFloat16*, BFloat16*) const;
template void normalize_forward<float>(const Normalization&, const NormalizationForward&, double);
template void normalize_forward<BFloat16>(const Normalization&, const NormalizationForward&, double);
template void normalization_statistics<float>(const Normalization&, const NormalizationStatistics&, double);
template void normalization_statistics<BFloat16>(const Normalization&, const NormalizationStatistics&, double);
template void normalize_apply<float>(const Normalization&, const NormalizationApply&);
template void normalize_apply<BFloat16>(const Normalization&, const NormalizationApply&);
template void normalize_backward<float>(const Normalization&, const NormalizationBackward&);
template void normalize_backward<BFloat16>(const Normalization&, const NormalizationBackward&);
template void normalize_backward<float>(const Normalization&, const NormalizationBackward&, const PointwiseGradient&);
template void normalize_backward<BFloat16>(const Normalization&, const NormalizationBackward&,
                                           const PointwiseGradient&);
template void normalize_backward<float>(const Normalization&, const NormalizationBackward&, const Normalization&,
                                        const NormalizationBackward&);
template void normalize_backward<BFloat16>(const Normalization&, const NormalizationBackward&, const Normalization&,
                                           const NormalizationBackward&);

}  // namespace hourglass::detail
