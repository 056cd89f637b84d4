// A convolution's source that is made while it is read: by BatchNormalization and its activation, from one activation
// or from two along their channels, the first of which may be resized before. So it needs no normalised image in
// memory, nor a resized one, which the forward pass would have to write and the backward pass to keep or to make anew.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "ops/convolution/convolution.h"
#include "ops/memory/view.h"
#include "ops/normalization/pixel_normalizer.h"
#include "ops/resampling/separable_map.h"

namespace hourglass::kernels {

// What two activations are along their channels. Throws Error where they differ in anything else.
TensorType joined(const TensorType& a, const TensorType& b);

class NormalizedSource {
 public:
  // What it reads: all, or one of the activations alone, the first as it is before it is resized.
  enum class Of : uint8_t { all, small, second };

  // For conv.normalized, which must be given.
  explicit NormalizedSource(const Convolution& conv, Of of = Of::all);

  // The node's inputs: src, `other` (forward the weights, grad_weights diff_dst), scale, bias, mean, inv_std, the
  // second activation and, forward with conv.has_bias, the convolution's bias. Activations are channels-last. Of::all.
  [[nodiscard]] std::vector<MemoryDesc> inputs(const MemoryDesc& other) const;

  // What sums of products of it may be off by, of the largest: in bf16 each pixel is rounded.
  [[nodiscard]] double rounding() const { return is_bf16_ ? 1.0 / 128 : 0; }

  [[nodiscard]] std::size_t coefficient_bytes() const;
  void set_coefficients(const Addresses& at, float* coefficients) const;
  // Makes `count` pixels of row h of image n, from pixel w on: all channels of a pixel side by side. `buffer` holds as
  // many. Without coefficients the pixels are copied as they are, for Kernel::run_primitives().
  void read(const Addresses& at, const float* coefficients, int64_t n, int64_t h, int64_t w, int64_t count, void* dst,
            void* buffer) const;

 private:
  struct Part {
    std::size_t input;  // of the node
    MemoryDesc desc;
    View view;
    int64_t first;  // channel of the numbers
    int64_t place;  // and of what is made
    PixelNormalizer normalizer;
    int64_t coefficients;                     // offset
    std::shared_ptr<const SeparableMap> map;  // null for one that is not resized
  };
  template <class T>
  static void copy_resized(const Part& part, const T* image, int64_t h, int64_t w, int64_t count, T* dst,
                           int64_t stride);

  std::vector<Part> parts_;
  MemoryDesc numbers_;  // one per channel
  MemoryDesc bias_;     // the convolution's, or empty
  int64_t channels_;
  bool is_bf16_;
};

// For a kernel that can't: `plan`, of a convolution with a source that is there, behind a pass that normalises it into
// scratch memory.
KernelPlan behind_normalization(const dnnl::engine& engine, const Convolution& conv, KernelPlan plan);

}  // namespace hourglass::kernels
