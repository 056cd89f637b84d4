// Convolution forward, in bf16 by AMX, of a source that is normalised and then resized to twice its size, without the
// resized image: each pixel of the small one makes four of the result, with the filter's weights mixed as Resize mixes
// pixels (ops/convolution/upsampled/phase_filters_axis.h). There are as many products as before, of a quarter of the pixels with four times
// the channels, so that few channels fill a tile; and the source is read, normalised and put in place once.
#pragma once

#include <optional>

#include "ops/convolution/convolution.h"

namespace hourglass::detail {

// Absent where the source is not resized, or not so, where plan_tile_convolution() is, and for a convolution's bias.
std::optional<KernelPlan> plan_doubled_convolution(const Convolution& conv);

}  // namespace hourglass::detail
