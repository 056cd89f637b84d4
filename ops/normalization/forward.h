// BatchNormalization forward: per-channel statistics of [N,C,H,W], the elementwise pass that normalises, or both. The
// definitions are in ops/batch_normalization.cpp. Both passes run group by group of channels, so that the second finds
// its data in the cache (walk.h).
#pragma once

#include "ops/normalization/walk.h"

namespace hourglass::kernels {

// Statistics of src to mean and inv_std, and src normalised by them to dst. scale, bias, mean and inv_std point to the
// first normalised channel. dst points to the whole image, even where the result is a slice of its channels
// (Normalization::first). The same holds for the structures below.
struct NormalizationForward {
  const void* src = nullptr;
  const float *scale = nullptr, *bias = nullptr;
  void* dst = nullptr;
  float *mean = nullptr, *inv_std = nullptr;
  void* scratch = nullptr;
};
template <class T>
void normalize_forward(const Normalization& normalization, const NormalizationForward& at, double epsilon);

// The statistics alone.
struct NormalizationStatistics {
  const void* src = nullptr;
  float *mean = nullptr, *inv_std = nullptr;
  void* scratch = nullptr;
};
template <class T>
void normalization_statistics(const Normalization& normalization, const NormalizationStatistics& at, double epsilon);

// The elementwise pass alone, by given statistics.
struct NormalizationApply {
  const void* src = nullptr;
  const float *scale = nullptr, *bias = nullptr, *mean = nullptr, *inv_std = nullptr;
  void* dst = nullptr;
  void* scratch = nullptr;
};
template <class T>
void normalize_apply(const Normalization& normalization, const NormalizationApply& at);

}  // namespace hourglass::kernels
