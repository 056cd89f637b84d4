// BatchNormalization's gradients, of its source and of its parameters. The definitions are in
// ops/batch_normalization.cpp.
#pragma once

#include "ops/normalization/walk.h"

namespace hourglass::kernels {

// Pointers to parameters and statistics are those of the first channel that is normalised; pointers to a counterpart
// are those of the whole it is in.

struct NormalizationBackward {
  const void *diff_dst = nullptr, *src = nullptr;
  const float *scale = nullptr, *bias = nullptr, *mean = nullptr, *inv_std = nullptr;
  void* diff_src = nullptr;
  float *diff_scale = nullptr, *diff_bias = nullptr;
  void* scratch = nullptr;
};
template <class T>
void normalize_backward(const Normalization& normalization, const NormalizationBackward& at);
// Of two slices of the same counterpart, which is read once for both in each of the two passes. Their walks are cut
// alike, and each has scratch memory of its own.
template <class T>
void normalize_backward(const Normalization& a, const NormalizationBackward& at_a, const Normalization& b,
                        const NormalizationBackward& at_b);

// A gradient that is never stored: what a pointwise convolution's gradient, diff_dst [N,H,W,channels], becomes behind
// its weights [C][channels]; and, where there is one, the stored gradient added to it. All are channels-last.
struct PointwiseGradient {
  const void *diff_dst = nullptr, *weights = nullptr;
  int64_t channels = 0;  // 1 to kMostInputs
  static constexpr int64_t kMostInputs = 4;
};
// Of a channels-last normalization, whose NormalizationBackward::diff_dst is what is added, or null.
template <class T>
void normalize_backward(const Normalization& normalization, const NormalizationBackward& at,
                        const PointwiseGradient& from);
// What that one wants of NormalizationBackward::scratch.
std::size_t pointwise_scratch_bytes(const Normalization& normalization, int64_t channels);

}  // namespace hourglass::kernels
