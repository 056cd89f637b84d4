// Convolutions of 3x3 filters with stride 1 by Winograd's algorithm F(4x4, 3x3), forward and both gradients: a quarter
// of the multiplications, in f32 and in bf16 (products of bf16, sums and transforms in f32).
//
// A tile of 6x6 source pixels and a filter are transformed to 36 points each; there the convolution is a product per
// point, 36 matrix products over all tiles; and what they give is transformed back to 4x4 output pixels. The padding is
// made as a tile is read, the gradient's padding is added where it belongs, so that any border costs no copy.
// Activations are channels-last, weights [KH][KW][C][OC]. The same number of threads gives the
// same bytes.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines other filters, strides and dilations, gradients of a bias, and on AVX2 few channels.
Answer plan_winograd(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
