// Super-resolution: the image that is sought is `factor` times as wide and high, D makes it small again
// (engine/restore/resample.h), E is the mean square to the small image.
#pragma once

#include <memory>

#include "engine/restore/task.h"

namespace hourglass {

struct UpscaleTaskOptions {
  int factor = 4;  // 2, 4 or 8
  int lobes = 2;   // of the Lanczos kernel that is taken to have made the image small: 2 or 3
};

// The baseline is the bicubic interpolation. psnr_degraded() compares D(image) with the small image, as the paper's
// PSNR_LR does. Throws Error for factors and lobes that aren't supported, and where the result would be too large.
std::unique_ptr<Task> make_upscale_task(Image small, const UpscaleTaskOptions& options);

}  // namespace hourglass
