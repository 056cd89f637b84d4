// What a convolution's kernel is planned from, in any of its three directions.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/attrs.h"
#include "ops/convolution/source_inputs.h"
#include "ops/geometry/padding_mode.h"
#include "ops/geometry/window.h"
#include "ops/kernel.h"

namespace hourglass::kernels {

enum class Direction : uint8_t { forward, grad_src, grad_weights };

// The attributes of a convolution, and `more` behind them. pad_mode (not ONNX's) says what stands outside the source
// instead of zero, as Pad's mode does; band_rows sets how many rows of dst are computed at a time.
std::vector<AttrSpec> convolution_attrs(const std::vector<AttrSpec>& more);

// By those: what stands outside the source.
PaddingMode padding_mode_of(const Attrs& attrs);
// Throws Error for whatever can be wrong about a convolution. src [N,C,H,W], weights [OC,C/group,KH,KW].
Window checked_window(const Attrs& attrs, const Shape& src, const Shape& weights);

// The source is not what input 0 holds, but what BatchNormalization and its activation make of it, and of input 6
// behind its channels; see ops/convolution/source.h.
struct SourceNormalization {
  int64_t first_channels = 0;  // of input 0
  float alpha = 1;             // the activation's
  // Where input 0 is resized on the way: its shape, and Resize's attributes. There is no activation then.
  struct Resizing {
    Shape from;
    Attrs attrs;
  };
  std::optional<Resizing> resized = {};
};

// Types and shapes as in the graph; weights are [OC,C/group,KH,KW].
struct Convolution {
  Direction direction = Direction::forward;
  Window window;
  PaddingMode padding_mode = PaddingMode::constant;
  int64_t group = 1;
  TensorType src, weights, dst;  // or the gradients in their places
  bool has_bias = false;         // forward: bias is input bias_input(); grad_weights: diff_bias is output 1
  // forward: outputs 1 and 2 are statistics of dst, with this epsilon; see ops/normalization/written_statistics.h
  std::optional<double> statistics = {};
  // forward, grad_weights: src is made of the node's inputs as this says. grad_src: with `resized`, the gradient goes
  // on to the image before it was resized and, output 1, to the channels beside it; the rest has no meaning.
  std::optional<SourceNormalization> normalized = {};
  int64_t band_rows = 0;  // of dst, where it is computed band by band; 0: by the sizes

  [[nodiscard]] std::size_t bias_input() const { return normalized ? kConvBiasInput : 2; }
};

// By a node's attributes, without bias, statistics and normalisation. Throws as checked_window().
Convolution convolution_of(const Attrs& attrs, Direction direction, const TensorType& src, const TensorType& weights,
                           const TensorType& dst);

// Why a kernel does not serve a convolution: "stride 2", "more than 64 channels".
struct Declined {
  std::string reason;
};
using Answer = std::variant<Declined, KernelPlan>;

// What the gradient of a bf16 source may be off by, of the largest, next to its border: what falls on a border that is
// not wide is rounded before it is added, and the sums may be.
constexpr double kBorderRoundingBf16 = 1.0 / 128;
// Whether a border shows so many pixels, perhaps one of them over and over, that what falls on it should be summed in
// f32.
inline bool has_wide_border(const Convolution& conv) {
  constexpr int64_t kWide = 4;
  const auto& [h, w] = conv.window;
  return conv.padding_mode != PaddingMode::constant &&
         std::max({h.pad_begin, h.pad_end, w.pad_begin, w.pad_end}) >= kWide;
}

// A convolution's kernel that may do more than that, to its source and its result on the way: run_primitives() leaves
// that out.
class ConvolutionKernel : public Kernel {
 public:
  void run_primitives() noexcept final {
    alone_ = true;
    run();
    alone_ = false;
  }

 protected:
  [[nodiscard]] bool alone() const { return alone_; }

 private:
  bool alone_ = false;
};

}  // namespace hourglass::kernels
