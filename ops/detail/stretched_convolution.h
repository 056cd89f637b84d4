// Convolution forward of a source that is normalised and then resized to twice its size, with 3x3 taps: the order of
// convolution and blur changed as ops/detail/stretched_axis.h says. No more products than Winograd's algorithm takes,
// and fewer where neighbours share them (ops/detail/stretched_points.h), with hardly anything to transform; neither the
// resized nor the stretched image is ever made.
#pragma once

#include <optional>

#include "ops/detail/convolution.h"

namespace hourglass::detail {

// Absent where the source is not resized, or not so, and where there are no products for the CPU and the type.
std::optional<KernelPlan> plan_stretched_convolution(const Convolution& conv);

}  // namespace hourglass::detail
