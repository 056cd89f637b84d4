// The gradient of a convolution's source where the padding mode shows the image's own pixels (reflect, edge, wrap), by
// oneDNN's backward-data primitives without a copy of the image.
//
// The gradient is linear, so it splits into two: that of the convolution with zeros around the image, which one
// primitive writes straight into diff_src, and that of the border's pixels. The latter needs only the few rows and
// columns of diff_dst next to each side: up to four small primitives compute it, and their results are added to the
// pixels that the border shows. Best choice for large images of few channels, where bands (onednn_bands.h) would spend
// their time on copies.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Inputs diff_dst and weights, output diff_src, channels-last. Declines a constant border, and where bands are faster:
// small images, many channels, layouts other than channels-last.
Answer plan_onednn_border(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
