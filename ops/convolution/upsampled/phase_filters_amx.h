// Convolution forward, in bf16 by AMX tile instructions, of a source that is normalised and then resized to twice its
// size, by phase filters (sub-pixel convolution, ops/convolution/upsampled/axis.h). The blur is folded into the filter,
// so each pixel of the small image gives four pixels of dst by four small filters, and the resized image is never made.
// There are as many products as in the plain convolution, but for a quarter of the pixels with four times the channels,
// so that few channels fill an AMX tile; and the source is read, normalised and copied once. Best choice for such
// sources on CPUs with AMX.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines a source that is not resized to exactly twice its size, a second activation beside it, a resize that makes
// the filter wider, too many weights, and a bias.
Answer plan_phase_filters_amx(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
