// How near an image is to its reference, in double precision on the 0..255 scale.
//
// Both images have the same size; a gray one is compared with an RGB one as if it were three equal planes. Values are
// taken as they are, neither clamped nor rounded. Every function throws Error when the sizes differ. Identical images
// have a PSNR of infinity. The sums are taken per row and then in order, so the number of threads changes nothing.
#pragma once

#include "engine/image/image.h"

namespace hourglass {

// 10 log10(255^2 / MSE), in dB, over all samples of all channels.
double psnr(const Image& image, const Image& reference);
// The same over the luma (BT.601) alone.
double psnr_y(const Image& image, const Image& reference);
// PSNR-B of the luma: Yim and Bovik, "Quality assessment of deblocked images", IEEE TIP 20(1), 2011. To the MSE comes
// the blocking effect factor of `image`: how much larger its steps are across the borders of the 8x8 grid than
// elsewhere. Not symmetric, and finite for identical images that have blocks themselves.
double psnr_b(const Image& image, const Image& reference);
// Mean structural similarity of the luma: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 13(4),
// 2004. Gaussian window of 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, at every position where the window fits. For
// images narrower or lower than that, the window is cut to the largest odd size that fits, and normalised again.
double ssim(const Image& image, const Image& reference);

// All four of them.
struct Likeness {
  double psnr = 0, psnr_y = 0, psnr_b = 0, ssim = 0;
};
Likeness compare(const Image& image, const Image& reference);

}  // namespace hourglass
