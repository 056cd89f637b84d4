// Convolution forward of a source that is normalised and then resized to twice its size, with 3x3 taps: the order of
// convolution and blur changed as ops/convolution/upsampled/axis.h says. No more products than Winograd's
// algorithm takes, and fewer where neighbours share them (ops/convolution/upsampled/shared_taps.h), with hardly
// anything to transform; neither the resized nor the zero-stuffed image is ever made.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines a source that is not resized so.
Answer plan_blur_last_forward(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
