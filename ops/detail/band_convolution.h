// Convolutions of a padded image, band by band: the padding is made as a band is read and never stored, the band's
// layout and type are the convolution's own choice, and what it needs of scratch memory is a band's.
//
//   dst = conv(pad(src), weights) and its two gradients, as ops/conv.cpp states them. Bands depend on the shapes alone,
//   so the same number of threads gives the same bytes.
#pragma once

#include <optional>

#include "ops/detail/border.h"
#include "ops/detail/window.h"
#include "ops/kernel.h"

namespace hourglass::detail {

enum class Direction : uint8_t { forward, grad_src, grad_weights };

// Types and shapes as in the graph; weights are [OC,C,KH,KW], in one group.
struct BandConvolution {
  Direction direction = Direction::forward;
  Window window;
  Border border = Border::constant;
  TensorType src, weights, dst;  // or the gradients in their places
  bool has_bias = false;         // forward: bias is input 2; grad_weights: diff_bias is output 1
  int64_t band_rows = 0;         // of dst; 0: by the sizes
};

// Whether bands are worth their copies for a convolution of a channels-last activation that needs none for its padding:
// where Winograd's algorithm or blocked layouts are so much faster.
bool prefers_bands(const BandConvolution& conv);

// Absent when oneDNN has no implementation, or the bands' gradients can't be folded.
std::optional<KernelPlan> plan_band_convolution(const PlanContext& ctx, const BandConvolution& conv);

}  // namespace hourglass::detail
