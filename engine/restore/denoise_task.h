// Denoising: D is the identity, E the mean square to the noisy image, whose noise the network learns last.
#pragma once

#include <memory>

#include "engine/restore/task.h"

namespace hourglass {

std::unique_ptr<Task> make_denoise_task(Image noisy);

}  // namespace hourglass
