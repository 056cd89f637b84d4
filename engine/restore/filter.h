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
// Of the posterior mean after each pass (kSigmaFactor is the one after a fit, kLearnedSigmaFactor after a lesson).
inline constexpr double kFilterSigmaFactor = 1;
// Chroma counts less for what is alike: its noise is assumed to be this much larger than luma's.
inline constexpr double kChromaNoise = 2;
// The largest side of a tile, in pixels, without what it shares with others, and how far it goes beyond that.
inline constexpr int64_t kFilterTile = 2048, kFilterMargin = 48;
// The noise of luma, in grey levels, as the first passes assume it: 0.6 times a power law of the mean of the nine
// lowest steps of its table (JpegPipeline::coarseness()) that was fitted to the best noise of an earlier filter.
double table_noise(double mean_step);

struct FilterOptions {
  int passes = kFilterPasses;
  // In grey levels, of luma. 0: from the file's table first, from what the first passes changed then.
  double noise = 0;
  // The largest side of a tile, 64 or more. A picture of which neither side is longer is filtered whole.
  int64_t tile = kFilterTile;
  double sigma_factor = kFilterSigmaFactor;
};

// start: where the passes begin, the decoded JPEG or an estimate. decoded: the JPEG's pixels. Images smaller than 8x8
// come back as they are. The result is in the cells in the sense of to_posterior_mean(). Where `advance` ends it early,
// it has as many passes as there was time for; of a large picture the tiles that were not begun are as in `start`, but
// for 16 pixels along those that were.
Image filter_jpeg(const Image& start, const Image& decoded, const JpegModel& model, const FilterOptions& options = {},
                  const Advance& advance = {});

// What the program takes with its libraries before it does anything.
inline constexpr std::size_t kProgramMemory = 29'000'000;

// Bytes that the program holds at most while it filters such a picture, with a margin (of 4000x3000 in colour on two
// threads 525 to 563 MB were measured, where this says 636): for each pixel the
// JPEG's samples (4 for a channel), its coefficients and the result; for each pixel of a tile two sets of planes, the
// sums of patches and the places of the groups; for each thread seven planes of 79 rows (three in gray).
constexpr std::size_t filter_memory(int64_t width, int64_t height, int channels, int threads) {
  // To whole MCUs of 32 pixels on both sides.
  constexpr int64_t kSide = kFilterTile + 2 * kFilterMargin + 64;
  const bool gray = channels == 1;
  const int64_t all = width * height, at_once = std::min(width, kSide) * std::min(height, kSide);
  const int64_t of_threads = threads * std::min(width, kSide) * 79 * (gray ? 12 : 28);
  const int64_t bytes = 20'000'000 + all * (gray ? 11 : 31) + at_once * (gray ? 25 : 48) + of_threads;
  return std::max(kProgramMemory, static_cast<std::size_t>(bytes));
}

}  // namespace hourglass
