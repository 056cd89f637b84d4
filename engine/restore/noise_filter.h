// White noise of known strength taken out of a photograph without a network: nonlocal Bayes (nonlocal_bayes.h).
//
// Three passes, each from the last result with a tenth of what it took away added again (Osher, Burger, Goldfarb, Xu,
// Yin, Multiscale Modeling and Simulation 4, 2005), make an estimate; then the noisy photograph itself is filtered,
// guided by it, in colour twice. Reference patches lie at every fifth pixel, from pass to pass elsewhere. Colours are
// turned first so that noise that is the same in R, G and B, and independent, stays so: (R + G + B) / sqrt 3, (R - B) /
// sqrt 2, (R - 2G + B) / sqrt 6.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/image/image.h"
#include "engine/restore/filter.h"
#include "engine/restore/task.h"

namespace hourglass {

// The least width and height of what can be filtered.
inline constexpr int64_t kLeastToFilter = 8;

// noisy: 1 or 3 channels, R G B. sigma: standard deviation of the noise, in units of the range (1 = 255), above 0. The
// result may reach a little beyond [0, 1]; images smaller than that come back as they are. Where `advance` ends it
// early, the result is that of the passes so far.
Image filter_noise(const Image& noisy, double sigma, const Advance& advance = {});

// Bytes that the program holds at most while it filters such a picture, with a margin of a tenth (154 MB in colour and
// 73 in gray for 1.6 megapixels): for each pixel and, of 79 rows, for each thread.
constexpr std::size_t noise_filter_memory(int64_t width, int64_t height, int channels, int threads) {
  const bool gray = channels == 1;
  const int64_t bytes = 20'000'000 + width * height * (gray ? 38 : 96) + threads * width * 79 * (gray ? 16 : 40);
  return std::max(kProgramMemory, static_cast<std::size_t>(bytes));
}

}  // namespace hourglass
