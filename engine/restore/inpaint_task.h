// Filling in pixels that are missing: D keeps the known pixels, E is the mean square over these alone.
#pragma once

#include <memory>

#include "engine/restore/task.h"

namespace hourglass {

// From this value on a mask's pixel means: keep. White is 1.
inline constexpr float kKnownFrom = 0.5F;

struct InpaintTaskOptions {
  // Known pixels come from the image into the result unchanged; otherwise the network's stand there (the paper's way).
  bool keep_known = true;
};

// mask: one channel, of the image's size. Throws Error when it is not, or when it keeps no pixel or every one.
// psnr_degraded() is over the known pixels.
std::unique_ptr<Task> make_inpaint_task(Image image, const Image& mask, const InpaintTaskOptions& options);

}  // namespace hourglass
