// Convolution forward with 3x3 taps of a source that is normalised and then resized to twice its size, in the order
// blur last (noble identity, ops/convolution/upsampled/axis.h): the small image is convolved with zeros stuffed between
// its pixels, and the result is blurred. GEMMs on rows of the small image make rows of the convolved image in a ring
// buffer, four of which are blurred to a row of dst. 9 / 4 products an output, as many as Winograd's F(4x4, 3x3) takes,
// or 25 / 16 with shared taps (shared_taps.h), with hardly any transforms; neither the resized nor the zero-stuffed
// image is ever made. Best choice for such sources on CPUs without AMX. A second activation beside the resized one is
// convolved directly.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines a source that is not resized to exactly twice its size, filters other than 3x3, and small images.
Answer plan_blur_last_forward(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
