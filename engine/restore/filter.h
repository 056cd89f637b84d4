// What an image still knows of itself: nonlocal Bayes and the file's cells, in turn.
//
// A pass filters the image (engine/restore/nonlocal_bayes.h) and moves the result to the mean of what the file's cells
// leave possible (engine/restore/consistency.h), so each is a projection of the other's result; it starts a little
// further on, where the last two passes point (Nesterov's momentum). Noise that falls from pass to pass smooths first
// what is large and last what is fine. Reference patches lie at every fifth pixel, from pass to pass elsewhere.
//
// A large picture is filtered tile by tile, so that what it holds in memory besides the picture stays the same: tiles
// overlap by more than what moves a pixel visibly, and are blended into each other where they meet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/restore/jpeg_model.h"
#include "engine/restore/task.h"

namespace hourglass {

inline constexpr int kFilterPasses = 14;
// Of the posterior mean after each pass (kSigmaFactor is the one after a fit).
inline constexpr double kFilterSigmaFactor = 1;
// Chroma counts less for what is alike: its noise is assumed to be this much larger than luma's.
inline constexpr double kChromaNoise = 2;
inline constexpr int64_t kFilterTile = 2048;
// The noise of luma, in grey levels, as the first passes assume it: 0.6 times a power law of the mean of the nine
// lowest steps of its table (JpegPipeline::coarseness()) that was fitted to the best noise of an earlier filter.
double table_noise(double mean_step);

struct FilterOptions {
  int passes = kFilterPasses;
  // In grey levels, of luma. 0: from the file's table first, from what the first passes changed then.
  double noise = 0;
  // Sides of a tile, in pixels, without what it shares with others. A picture in which none fits twice is filtered
  // whole.
  int64_t tile = kFilterTile;
};

// start: where the passes begin, the decoded JPEG or an estimate. decoded: the JPEG's pixels. Images smaller than 8x8
// come back as they are. The result is in the cells in the sense of to_posterior_mean(). Where `advance` ends it early,
// it has as many passes as there was time for, and the tiles that are left are as in `start`.
Image filter_jpeg(const Image& start, const Image& decoded, const JpegModel& model, const FilterOptions& options = {},
                  const Advance& advance = {});

// What the program takes with its libraries before it does anything.
inline constexpr std::size_t kProgramMemory = 29'000'000;

// Bytes that the program holds at most while it filters such a picture, with a margin of a tenth: of all of it the
// JPEG's pixels, its coefficients and the result, and what filtering one tile takes.
constexpr std::size_t filter_memory(int64_t pixels, int channels) {
  constexpr int64_t kMostAtOnce = (kFilterTile + 96) * (kFilterTile + 96);
  const auto all = static_cast<std::size_t>(pixels), at_once = static_cast<std::size_t>(std::min(pixels, kMostAtOnce));
  return std::max(kProgramMemory, 20'000'000 + (channels == 1 ? 11 * all + 26 * at_once : 31 * all + 48 * at_once));
}

}  // namespace hourglass
