// Convolution forward of a source that is normalised and then resized to twice its size, with 3x3 taps: the order of
// convolution and blur changed as ops/convolution/upsampled/blur_axis.h says. No more products than Winograd's algorithm takes,
// and fewer where neighbours share them (ops/convolution/upsampled/shared_taps.h), with hardly anything to transform; neither the
// resized nor the stretched image is ever made.
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"

namespace hourglass::detail {

// Absent where the source is not resized, or not so, and where there are no products for the CPU and the type.
std::optional<KernelPlan> plan_stretched_convolution(const Convolution& conv);

}  // namespace hourglass::detail
