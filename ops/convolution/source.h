// The normalised source of a convolution: computes act(scale * (x - mean) * inv_std + bias) pixel by pixel while a
// kernel reads it, for one activation x or for two side by side along their channels, the first of which may be resized
// before. The kernel asks for a run of pixels and gets them channels-last in its own buffer. So the normalised and the
// resized image never exist in memory; otherwise the forward pass would write them, and the backward pass would have to
// keep or recompute them.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "ops/convolution/convolution.h"
#include "ops/memory/view.h"
#include "ops/normalization/pixel_normalizer.h"
#include "ops/resampling/separable_map.h"

namespace hourglass::kernels {

// Type and shape of two activations concatenated along their channels. Throws Error where they differ in anything but
// the number of channels.
TensorType joined(const TensorType& a, const TensorType& b);

class NormalizedSource {
 public:
  // Which channels are read: all, or those of one activation alone. `small` is the first activation before it is
  // resized, normalised all the same.
  enum class Of : uint8_t { all, small, second };

  // Requires conv.normalized.
  explicit NormalizedSource(const Convolution& conv, Of of = Of::all);

  // Memory layouts of the node's inputs, in the order of SourceInputs (source_inputs.h): src, `other` (forward the
  // weights, grad_weights diff_dst), scale, bias, mean, inv_std, the second activation and, forward with conv.has_bias,
  // the convolution's bias. Activations are channels-last. For Of::all only.
  [[nodiscard]] std::vector<MemoryDesc> inputs(const MemoryDesc& other) const;

  // The largest relative error that rounding each normalised pixel to bf16 brings to a sum of products; 0 in f32.
  [[nodiscard]] double rounding() const { return is_bf16_ ? 1.0 / 128 : 0; }

  // Scratch memory for the coefficients (center, factor and offset per channel, f32), which each run sets before it
  // reads.
  [[nodiscard]] std::size_t coefficient_bytes() const;
  void set_coefficients(const Addresses& at, float* coefficients) const;
  // Makes `count` pixels of row h of image n, from pixel w on: all channels of a pixel side by side. `buffer` has room
  // for as many pixels. Where `coefficients` is null the pixels are copied unchanged, for Kernel::run_primitives().
  void read(const Addresses& at, const float* coefficients, int64_t n, int64_t h, int64_t w, int64_t count, void* dst,
            void* buffer) const;

 private:
  struct Activation {
    std::size_t input;  // index among the node's inputs
    MemoryDesc desc;
    View view;
    int64_t first;        // its first channel in scale, bias, mean, inv_std
    int64_t dst_channel;  // and in the pixels that are made
    PixelNormalizer normalizer;
    int64_t coefficients;                     // offset of its coefficients, in floats
    std::shared_ptr<const SeparableMap> map;  // the resize; null where there is none
  };
  template <class T>
  static void copy_resized(const Activation& x, const T* image, int64_t h, int64_t w, int64_t count, T* dst,
                           int64_t stride);

  std::vector<Activation> activations_;
  MemoryDesc numbers_;  // layout of scale, bias, mean and inv_std
  MemoryDesc bias_;     // the convolution's, or empty
  int64_t channels_;
  bool is_bf16_;
};

// For kernels that can't normalise while they read: puts a pass before `plan`, the plan of the same convolution with a
// plain source, that writes the normalised image into scratch memory.
KernelPlan behind_normalization(const dnnl::engine& engine, const Convolution& conv, KernelPlan plan);

}  // namespace hourglass::kernels
