#include "ops/normalization/resized.h"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "ops/geometry/resize_taps.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"
#include "ops/normalization/rows.h"

namespace hourglass::kernels {
namespace {

// Loops over rows of elements. Per-channel numbers are vectors of `period` elements in which the channels repeat; r =
// row * columns[i]; square is R^T R z.

template <class T>
HG_CLONES void add_moments(const T* z, const float* square, const float* columns, float row, int64_t count,
                           int64_t period, const float* __restrict center, float* __restrict sum,
                           float* __restrict product) {
  for (int64_t i = 0; i < count; i += period) {
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float r = row * columns[i + j], d = load(z + i + j) - center[j];
      sum[j] += r * d;
      product[j] += d * (square[i + j] - center[j] * r);
    }
  }
}

template <class T>
HG_CLONES void add_products(const T* g, const T* z, int64_t count, int64_t period, const float* __restrict center,
                            float* __restrict sum, float* __restrict product) {
  for (int64_t i = 0; i < count; i += period) {
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float x = load(g + i + j);
      sum[j] += x;
      product[j] += x * (load(z + i + j) - center[j]);
    }
  }
}

// diff may be g.
template <class T>
HG_CLONES void apply_row(const float* square, const float* columns, float row, int64_t count, int64_t period,
                         const float* __restrict center, const float* __restrict factor, const float* __restrict slope,
                         const float* __restrict constant, const T* g, T* diff) {
  for (int64_t i = 0; i < count; i += period) {
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float r = row * columns[i + j];
      const float d = square[i + j] - center[j] * r;
      store(diff + i + j, factor[j] * load(g + i + j) + (slope[j] * d + constant[j] * r));
    }
  }
}

std::vector<float> sums_of(const std::vector<TapList>& lists, int64_t repeat) {
  std::vector<float> sums;
  for (const TapList& list : lists) {
    double sum = 0;
    for (const auto& [i, w] : list) sum += w;
    sums.insert(sums.end(), static_cast<std::size_t>(repeat), static_cast<float>(sum));
  }
  return sums;
}

View channels_last(const Shape& shape) { return view_of(with_tag({DType::f32, shape}, Tag::nhwc)); }

double elements_of_channel(const Shape& shape) { return static_cast<double>(shape[0] * shape[2] * shape[3]); }

}  // namespace

ResizedNormalization::ResizedNormalization(const Attrs& attrs, const Shape& z)
    : z_(channels_last(z)),
      count_(elements_of_channel(resized_shape(attrs, z))),
      period_(loop_period(z[1])),
      parts_(parts_of(z[0] * z[2])),
      square_([&] {
        const auto square = [&](int axis) {
          const std::vector<TapList> taps = taps_of_axis(attrs, z, axis);
          return composed(transposed(taps, z[axis]), taps);
        };
        return SeparableMap(z_, z_, square(2), square(3));
      }()) {
  const std::vector<TapList> rows = transposed(taps_of_axis(attrs, z, 2), z[2]),
                             columns = transposed(taps_of_axis(attrs, z, 3), z[3]);
  rows_ = sums_of(rows, 1);
  columns_ = sums_of(columns, z[1]);
  const auto floats = [](int64_t count) { return static_cast<std::size_t>(count) * sizeof(float); };
  ScratchLayout vectors;
  for (int i = 0; i < kVectors; ++i) vectors.add(floats(period_));
  sums_at_ = vectors.add(static_cast<std::size_t>(parts_ * 2 * z_.c) * sizeof(double));
  workers_at_ = vectors.end();
  ScratchLayout offsets;
  offsets.add(floats(square_.buffer_floats()));
  row_at_ = offsets.add(floats(row_elements()));
  sum_at_ = offsets.add(floats(2 * period_));
  worker_bytes_ = offsets.end();
  end_ = workers_at_ + worker_bytes_ * static_cast<std::size_t>(omp_get_max_threads());
}

ResizedNormalization::Worker ResizedNormalization::worker(void* scratch, int64_t thread, int64_t part) const {
  char* at = static_cast<char*>(scratch) + workers_at_ + worker_bytes_ * static_cast<std::size_t>(thread);
  auto* sum = reinterpret_cast<float*>(at + sum_at_);
  auto* sums = reinterpret_cast<double*>(static_cast<char*>(scratch) + sums_at_) + part * 2 * z_.c;
  return {reinterpret_cast<float*>(at), reinterpret_cast<float*>(at + row_at_), sum, sum + period_, sums, sums + z_.c};
}

float* ResizedNormalization::vector(void* scratch, Vector which) const {
  return static_cast<float*>(scratch) + which * static_cast<int64_t>(sums_at_ / kVectors / sizeof(float));
}

void ResizedNormalization::set(void* scratch, Vector which, int64_t channel, double value) const {
  float* to = vector(scratch, which);
  for (int64_t j = channel; j < period_; j += z_.c) to[j] = static_cast<float>(value);
}

template <typename Body>
void ResizedNormalization::for_rows(void* scratch, const Body& body) const {
  const int64_t rows = z_.n * z_.h;
  parallel_parts(parts_, [&](int64_t thread, const auto& take) {
    for (int64_t part = take(); part >= 0; part = take()) {
      const Worker w = worker(scratch, thread, part);
      for (int64_t row = rows * part / parts_; row < rows * (part + 1) / parts_; ++row) {
        body(w, row / z_.h, row % z_.h);
      }
    }
  });
}

// Sums what body() adds, in float for a row, in double for a part, and over the parts in order into part 0's sums.
template <typename Body>
void ResizedNormalization::sum_rows(void* scratch, const Body& body) const {
  double* all = worker(scratch, 0, 0).sums;
  std::fill_n(all, parts_ * 2 * z_.c, 0.0);
  for_rows(scratch, [&](const Worker& w, int64_t image, int64_t row) {
    std::fill_n(w.sum, 2 * period_, 0.0F);
    body(w, image, row);
    for (int64_t j = 0; j < period_; j += z_.c) {
      for (int64_t c = 0; c < z_.c; ++c) {
        w.sums[c] += static_cast<double>(w.sum[j + c]);
        w.products[c] += static_cast<double>(w.product[j + c]);
      }
    }
  });
  for (int64_t i = 1; i < parts_; ++i) {
    for (int64_t c = 0; c < 2 * z_.c; ++c) all[c] += all[i * 2 * z_.c + c];
  }
}

template <class T>
void ResizedNormalization::take_statistics(const Statistics& at, double epsilon) const {
  const auto* z = static_cast<const T*>(at.z);
  const Worker all = worker(at.scratch, 0, 0);
  // Sums are taken around the mean of one row, so that they don't cancel.
  sum_row(z, row_elements(), period_, all.sum);
  for (int64_t c = 0; c < z_.c; ++c) {
    double sum = 0;
    for (int64_t j = c; j < period_; j += z_.c) sum += static_cast<double>(all.sum[j]);
    set(at.scratch, kCenter, c, sum / static_cast<double>(z_.w));
  }
  const float* center = vector(at.scratch, kCenter);
  sum_rows(at.scratch, [&](const Worker& w, int64_t image, int64_t row) {
    const T* from = z + z_.offset(image, 0, 0, 0);
    square_.make_row(from, row, w.buffer, w.row);
    add_moments(from + row * z_.stride_h, w.row, columns_.data(), rows_[static_cast<std::size_t>(row)], row_elements(),
                period_, center, w.sum, w.product);
  });
  for (int64_t c = 0; c < z_.c; ++c) {
    const double mean = all.sums[c] / count_;  // around the center
    at.mean[c] = static_cast<float>(static_cast<double>(center[c]) + mean);
    at.inv_std[c] = static_cast<float>(1 / std::sqrt(std::max(all.products[c] / count_ - mean * mean, 0.0) + epsilon));
  }
}

template <class T>
void ResizedNormalization::take_gradient(const Gradient& at) const {
  const auto *g = static_cast<const T*>(at.g), *z = static_cast<const T*>(at.z);
  auto* diff_z = static_cast<T*>(at.diff_z);
  for (int64_t c = 0; c < z_.c; ++c) set(at.scratch, kCenter, c, static_cast<double>(at.mean[c]));
  const float* center = vector(at.scratch, kCenter);
  sum_rows(at.scratch, [&](const Worker& w, int64_t image, int64_t row) {
    const int64_t offset = z_.offset(image, 0, row, 0);
    add_products(g + offset, z + offset, row_elements(), period_, center, w.sum, w.product);
  });
  const Worker all = worker(at.scratch, 0, 0);
  for (int64_t c = 0; c < z_.c; ++c) {
    const auto inverse = static_cast<double>(at.inv_std[c]);
    const double factor = static_cast<double>(at.scale[c]) * inverse;
    at.diff_bias[c] = static_cast<float>(all.sums[c]);
    at.diff_scale[c] = static_cast<float>(all.products[c] * inverse);
    set(at.scratch, kFactor, c, factor);
    set(at.scratch, kSlope, c, -factor * inverse * inverse * all.products[c] / count_);
    set(at.scratch, kConstant, c, -factor * all.sums[c] / count_);
  }
  for_rows(at.scratch, [&](const Worker& w, int64_t image, int64_t row) {
    square_.make_row(z + z_.offset(image, 0, 0, 0), row, w.buffer, w.row);
    apply_row(w.row, columns_.data(), rows_[static_cast<std::size_t>(row)], row_elements(), period_, center,
              vector(at.scratch, kFactor), vector(at.scratch, kSlope), vector(at.scratch, kConstant),
              g + z_.offset(image, 0, row, 0), diff_z + z_.offset(image, 0, row, 0));
  });
}

template void ResizedNormalization::take_statistics<float>(const Statistics&, double) const;
template void ResizedNormalization::take_statistics<BFloat16>(const Statistics&, double) const;
template void ResizedNormalization::take_gradient<float>(const Gradient&) const;
template void ResizedNormalization::take_gradient<BFloat16>(const Gradient&) const;

}  // namespace hourglass::kernels
