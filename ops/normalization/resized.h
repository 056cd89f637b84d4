// Statistics and gradient of BatchNormalization of a resized image, computed on the image before it is resized.
//
// With z the small image, y = R z the resized one, and R's rows summing to 1 (R 1 = 1):
//   sum(y) = sum(r * z), r = R^T 1        sum(y * y) = sum(z * R^T R z)
// so the statistics of y need no y. Nor does the gradient of z, R^T applied to BatchNormalization's diff_src: with g =
// R^T diff_dst, which the kernel that makes diff_dst provides, M elements in a channel of y, and the formulas of
// ops/batch_normalization.cpp,
//   diff_bias = sum(g)    diff_scale = inv_std * sum(g * (z - mean))
//   diff_z = scale * inv_std * (g - r * diff_bias / M - (R^T R z - mean * r) * inv_std * diff_scale / M)
// R^T R is itself a separable map with few taps (ops/resampling/separable_map.h).
#pragma once

#include <cstddef>
#include <vector>

#include "graph/attrs.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/resampling/separable_map.h"

namespace hourglass::kernels {

class ResizedNormalization {
 public:
  // For z [N,C,H,W], channels-last, resized by Resize with these attributes, which must not crop.
  ResizedNormalization(const Attrs& attrs, const Shape& z);

  [[nodiscard]] std::size_t scratch_bytes() const { return end_; }

  struct Statistics {
    const void* z = nullptr;
    float *mean = nullptr, *inv_std = nullptr;
    void* scratch = nullptr;
  };
  template <class T>
  void take_statistics(const Statistics& at, double epsilon) const;

  struct Gradient {
    const void *g = nullptr, *z = nullptr;
    const float *scale = nullptr, *mean = nullptr, *inv_std = nullptr;
    void* diff_z = nullptr;
    float *diff_scale = nullptr, *diff_bias = nullptr;
    void* scratch = nullptr;
  };
  // diff_z may share memory with g, but not with z.
  template <class T>
  void take_gradient(const Gradient& at) const;

 private:
  enum Vector : int { kCenter, kFactor, kSlope, kConstant, kVectors };
  struct Worker {
    float *buffer, *row;      // the map's buffer, and a row of R^T R z
    float *sum, *product;     // per channel, repeated over a period
    double *sums, *products;  // of the part, one per channel
  };
  [[nodiscard]] Worker worker(void* scratch, int64_t thread, int64_t part) const;
  [[nodiscard]] float* vector(void* scratch, Vector which) const;
  void set(void* scratch, Vector which, int64_t channel, double value) const;
  // body(worker, image, row) for each row of z.
  template <typename Body>
  void for_rows(void* scratch, const Body& body) const;
  template <typename Body>
  void sum_rows(void* scratch, const Body& body) const;
  [[nodiscard]] int64_t row_elements() const { return z_.w * z_.c; }

  View z_;
  double count_;  // elements of a channel of y
  int64_t period_, parts_;
  SeparableMap square_;                // R^T R
  std::vector<float> rows_, columns_;  // r = rows_[h] * columns_[element of the row]
  std::size_t sums_at_ = 0, workers_at_ = 0, sum_at_ = 0, row_at_ = 0, worker_bytes_ = 0, end_ = 0;
};

}  // namespace hourglass::kernels
