// The gradient of a convolution's weights, for filters, strides, dilations and borders of any kind: for each tap, the
// product of two matrices of pixels, [C][pixels] and [pixels][OC], with many pixels and few channels. In f32 and in
// bf16 (products of bf16, sums in f32).
//
// A band of the gradient and the rows of the source that it needs are put into the form that the CPU's products take,
// each row once; taps beside each other read the same row, a pixel further. Padding is made on the way. Activations are
// channels-last, weights [KH][KW][C][OC]. Each thread sums over its share of the rows; the same number of threads gives
// the same bytes.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// By what the products are made of; ops/convolution/weight_gradient/products.h. All decline where the weights are many
// or a band of rows is large, so that a thread's part would leave its caches.
//
// A few channels of a pointwise convolution, on either side: both sides stay where they are.
Answer plan_narrow_1x1(const PlanContext& ctx, const Convolution& conv);
// Few channels on both sides of a 3x3 filter.
Answer plan_narrow_3x3(const PlanContext& ctx, const Convolution& conv);
// By AMX.
Answer plan_amx_grad_weights(const PlanContext& ctx, const Convolution& conv);
// By vectors. Declines few channels on one side, unless the filter is pointwise.
Answer plan_vector_grad_weights(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
