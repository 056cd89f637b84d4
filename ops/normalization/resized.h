// BatchNormalization of a resized image, computed where the image is still small.
//
// With z the image, y = R z the resized one, and the weights of every output of R adding up to 1 (R 1 = 1):
//   sum(y) = sum(r * z), r = R^T 1        sum(y * y) = sum(z * R^T R z)
// so y's statistics need no y. Nor does the gradient of z, R^T of what BatchNormalization passes back: with
// g = R^T diff_dst, as who makes diff_dst gives it, and the formulas of ops/batch_normalization.cpp,
//   diff_bias = sum(g)    diff_scale = inv_std * sum(g * (z - mean))    M = elements of a channel of y
//   diff_z = scale * inv_std * (g - r * diff_bias / M - (R^T R z - mean * r) * inv_std * diff_scale / M)
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
  // Of z [N,C,H,W], channels-last, by Resize with these attributes, which must not crop.
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
  // diff_z may lie where g does, not where z does.
  template <class T>
  void take_gradient(const Gradient& at) const;

 private:
  enum Vector : int { kCenter, kFactor, kSlope, kConstant, kVectors };
  struct Worker {
    float *buffer, *row;      // what the maps want, and a row of theirs
    float *sum, *product;     // vectors
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
  std::vector<float> rows_, columns_;  // r, of a row times of an element of each row
  std::size_t sums_at_ = 0, workers_at_ = 0, sum_at_ = 0, row_at_ = 0, worker_bytes_ = 0, end_ = 0;
};

}  // namespace hourglass::kernels
