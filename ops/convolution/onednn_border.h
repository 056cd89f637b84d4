// The gradient of a convolution's source where its border shows the image's own pixels: one primitive makes it as if
// zeros stood around the image, straight into the result; what falls on the border is made beside, in column blocks as
// wide as the padding, and added to the pixels that the border shows.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Inputs diff_dst and weights, output diff_src, channels-last. Declines where the border shows nothing, and where bands
// (ops/convolution/onednn_bands.h) are faster: small images, many channels, layouts other than channels-last.
Answer plan_onednn_border(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
