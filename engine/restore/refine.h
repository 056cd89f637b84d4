// What the image itself still knows after the fit: collaborative filtering of the JPEG with the fit's result as the
// pilot, then the file's cells again.
#pragma once

#include "engine/restore/consistency.h"
#include "engine/restore/jpeg_model.h"

namespace hourglass {

// The noise that the filter assumes is this factor times the rms difference between the estimate and the decoded JPEG,
// per component. From a prototype of this on four gray 256x256 crops with the small network: best at 20 to 24 grey
// levels for quality 10 (rms 4.7) and at 12 for quality 40 (rms 2.9). Colour was not tuned.
inline constexpr double kNoiseFactor = 4.3;

// estimate: in the cells (to_posterior_mean). decoded: the JPEG's pixels. Each pass filters the mean of both with the
// last pass' result as the pilot, and takes the posterior mean. Images smaller than 8x8 come back as they are.
Image refine(const Image& estimate, const Image& decoded, const JpegModel& model, int passes,
             double sigma_factor = kSigmaFactor);

}  // namespace hourglass
