// BatchNormalization backward: the gradients of source, scale and bias, of the normalisation and its LeakyRelu
// together. The definitions are in ops/batch_normalization.cpp. Two passes: sums of dz and dz * (x - mean), then
// diff_src from them.
#pragma once

#include "ops/normalization/walk.h"

namespace hourglass::kernels {

// scale, bias, mean, inv_std and their gradients point to the first normalised channel. diff_dst points to the whole
// image, even where it is a slice of its channels that counts (Normalization::first).
struct NormalizationBackward {
  const void *diff_dst = nullptr, *src = nullptr;
  const float *scale = nullptr, *bias = nullptr, *mean = nullptr, *inv_std = nullptr;
  void* diff_src = nullptr;
  float *diff_scale = nullptr, *diff_bias = nullptr;
  void* scratch = nullptr;
};
template <class T>
void normalize_backward(const Normalization& normalization, const NormalizationBackward& at);
// The same for two slices of one counterpart, which each of the two passes reads once for both. Their walks are cut
// alike (cut_alike()), and each has its own scratch memory.
template <class T>
void normalize_backward(const Normalization& a, const NormalizationBackward& at_a, const Normalization& b,
                        const NormalizationBackward& at_b);

// A diff_dst that is never stored: the gradient of a pointwise convolution's source, computed chunk by chunk from the
// convolution's own diff_dst [N,H,W,channels] and weights [C][channels], plus a stored gradient where there is one. All
// are channels-last.
struct PointwiseGradient {
  const void *conv_diff_dst = nullptr, *conv_weights = nullptr;
  int64_t channels = 0;  // 1 to kMostChannels
  static constexpr int64_t kMostChannels = 4;
};
// For a channels-last normalization; NormalizationBackward::diff_dst is the stored gradient to add, or null.
template <class T>
void normalize_backward(const Normalization& normalization, const NormalizationBackward& at,
                        const PointwiseGradient& from);
// Size of NormalizationBackward::scratch for the function above.
std::size_t pointwise_scratch_bytes(const Normalization& normalization, int64_t channels);

}  // namespace hourglass::kernels
