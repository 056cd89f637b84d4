// Denoising: D is the identity, E the mean square to the noisy image, whose noise the network learns last.
#pragma once

#include <memory>

#include "engine/restore/task.h"

namespace hourglass {

// sigma: the noise's standard deviation where it is known, in units of the range (1 = 255; before clipping); 0 leaves
// it to estimate_noise(). It decides discrepancy() and filter() (noise_filter.h), which an image without noise, or
// below 3x3 pixels, doesn't have.
std::unique_ptr<Task> make_denoise_task(Image noisy, double sigma = 0);

}  // namespace hourglass
