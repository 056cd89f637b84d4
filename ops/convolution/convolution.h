// Describes one convolution to the kernels that may compute it: direction, window, padding mode, element types, and
// what is fused into it. The field's own description is oneDNN's convolution descriptor; this one adds padding modes
// that show the image's own pixels (reflect, edge, wrap), a source that is resized and normalised while it is read, and
// statistics of dst.
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

// ONNX's attributes of Conv, followed by `more`, and two of our own: pad_mode says what stands outside the source
// instead of zeros, as Pad's mode does; band_rows sets how many rows of dst are computed at a time.
std::vector<AttrSpec> convolution_attrs(const std::vector<AttrSpec>& more);

// The attribute pad_mode; zeros (constant) where it is absent.
PaddingMode padding_mode_of(const Attrs& attrs);
// The window of a convolution, after every check. Throws Error where shapes and attributes do not fit each other. src
// [N,C,H,W], weights [OC,C/group,KH,KW].
Window checked_window(const Attrs& attrs, const Shape& src, const Shape& weights);

// The source is made while it is read: BatchNormalization and its activation of input 0, whose channels are followed by
// those of input 6, where that is given. See ops/convolution/source.h.
struct SourceNormalization {
  int64_t first_channels = 0;  // those of input 0; the others are input 6's
  float alpha = 1;             // slope of LeakyRelu for negative values; 1: no activation
  // Where input 0 is resized before it is normalised: its shape before, and Resize's attributes. There is no activation
  // then.
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
  TensorType src, weights, dst;  // or diff_src, diff_weights, diff_dst: the same types and shapes
  bool has_bias = false;         // forward: bias is input bias_input(); grad_weights: diff_bias is output 1
  // forward: outputs 1 and 2 are statistics of dst, with this epsilon; see ops/normalization/written_statistics.h
  std::optional<double> statistics = {};
  // forward, grad_weights: how src is made of the node's inputs. grad_src: where `resized` is set, the gradient also
  // passes through Resize: output 0 is the gradient of the image before it was resized, output 1 that of the channels
  // beside it; the other members have no meaning.
  std::optional<SourceNormalization> normalized = {};
  int64_t band_rows = 0;  // rows of dst in a band; 0: the kernel decides

  [[nodiscard]] std::size_t bias_input() const { return normalized ? kConvBiasInput : 2; }
};

// The convolution that a node's attributes describe, without bias, statistics and normalised source. Throws as
// checked_window().
Convolution convolution_of(const Attrs& attrs, Direction direction, const TensorType& src, const TensorType& weights,
                           const TensorType& dst);

// Why a kernel does not serve a convolution, in words that a user can read: "stride 2", "more than 64 channels".
struct Declined {
  std::string reason;
};
using Answer = std::variant<Declined, KernelPlan>;

// The largest error of a bf16 diff_src next to its border, relative to its largest value: the gradient of the border is
// rounded to bf16 before it is added to the pixels that the border shows, and so may the sum be.
constexpr double kBorderRoundingBf16 = 1.0 / 128;
// Whether the border is so wide, and may show one pixel so many times, that its gradients should be summed in f32.
inline bool has_wide_border(const Convolution& conv) {
  constexpr int64_t kWide = 4;
  const auto& [h, w] = conv.window;
  return conv.padding_mode != PaddingMode::constant &&
         std::max({h.pad_begin, h.pad_end, w.pad_begin, w.pad_end}) >= kWide;
}

// A kernel that fuses other work (normalisation, statistics) with its convolution. run_primitives() runs the
// convolution alone, and alone() tells the kernel so.
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
