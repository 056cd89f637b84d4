// BatchNormalization forward: the statistics of [N,C,H,W] per channel and the elementwise pass behind them, both or
// either. The definitions are in ops/batch_normalization.cpp.
#pragma once

#include "ops/normalization/walk.h"

namespace hourglass::kernels {

// Pointers to parameters and statistics are those of the first channel that is normalised; pointers to a counterpart
// are those of the whole it is in.

struct NormalizationForward {
  const void* src = nullptr;
  const float *scale = nullptr, *bias = nullptr;
  void* dst = nullptr;
  float *mean = nullptr, *inv_std = nullptr;
  void* scratch = nullptr;
};
template <class T>
void normalize_forward(const Normalization& normalization, const NormalizationForward& at, double epsilon);

struct NormalizationStatistics {
  const void* src = nullptr;
  float *mean = nullptr, *inv_std = nullptr;
  void* scratch = nullptr;
};
template <class T>
void normalization_statistics(const Normalization& normalization, const NormalizationStatistics& at, double epsilon);

struct NormalizationApply {
  const void* src = nullptr;
  const float *scale = nullptr, *bias = nullptr, *mean = nullptr, *inv_std = nullptr;
  void* dst = nullptr;
  void* scratch = nullptr;
};
template <class T>
void normalize_apply(const Normalization& normalization, const NormalizationApply& at);

}  // namespace hourglass::kernels
