// What spoils an image, drawn from a seed: the inputs on which denoising and inpainting are tried. (Downsampling is in
// resample.h, compression in engine/image/jpeg.h.)
#pragma once

#include <cstdint>

#include "engine/image/image.h"

namespace hourglass {

// image + N(0, sigma_255), in grey levels of 255, clamped to [0, 1].
Image add_noise(const Image& image, double sigma_255, uint64_t seed);

// A mask of one channel: each pixel is 0 (missing) with probability `share`, else 1.
Image draw_mask(int64_t width, int64_t height, double share, uint64_t seed);

// Black where the mask is 0.
Image apply_mask(const Image& image, const Image& mask);

}  // namespace hourglass
