// What the image itself still knows after the fit: nonlocal Bayes and the file's cells, in turn.
#pragma once

#include "engine/restore/consistency.h"
#include "engine/restore/jpeg_model.h"
#include "engine/restore/task.h"

namespace hourglass {

// The noise that the filter assumes in the first component is this factor times the rms difference there between the
// estimate and the decoded JPEG, which is about the rms error of the JPEG. 1.7 to 2.5 are within 0.03 dB.
inline constexpr double kNoiseFactor = 1.8;
// Chroma counts less for what is alike: its noise is assumed to be this much larger. 1.6 and 4.8 lose 0.02 dB.
inline constexpr double kChromaNoise = 2.5;
// Each pass starts where the last two point, this far on. 6 passes with 0.8 gain more than 10 without.
inline constexpr double kMomentum = 0.8;
// Of the posterior mean after each pass (kSigmaFactor is the one after the fit).
inline constexpr double kRefineSigmaFactor = 1;

// estimate: in the cells (to_posterior_mean). decoded: the JPEG's pixels. Images smaller than 8x8 come back as they
// are, and one that is equal to the JPEG.
Image refine(const Image& estimate, const Image& decoded, const JpegModel& model, int passes,
             const Advance& advance = {});

// The same from the JPEG alone, without a fit.
Image filter_jpeg(const Image& decoded, const JpegModel& model, const Advance& advance = {});

}  // namespace hourglass
