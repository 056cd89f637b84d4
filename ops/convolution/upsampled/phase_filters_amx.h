// Convolution forward, in bf16 by AMX, of a source that is normalised and then resized to twice its size, without the
// resized image: each pixel of the small one makes four of the result, with the filter's weights mixed as Resize mixes
// pixels (ops/convolution/upsampled/axis.h). There are as many products as before, of a quarter of the
// pixels with four times the channels, so that few channels fill a tile; and the source is read, normalised and put in
// place once.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines a source that is not resized so, filters that this makes wider, too many weights, and a convolution's bias.
Answer plan_phase_filters_amx(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
