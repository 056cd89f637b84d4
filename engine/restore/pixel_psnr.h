// The PSNR that every iteration reports: in float with short sums, a small part of an iteration's time even for small
// networks. What a result is judged by is engine/image/metrics.h.
#pragma once

#include "engine/image/image.h"

namespace hourglass {

double squared_distance(const float* a, const float* b, int64_t count);

// -10 log10(mse), in dB, where 1.0 is the range; infinity for 0.
double psnr_of_mse(double mse);

// Of a planar image of b's size.
double pixel_psnr(const float* a, const Image& b);

}  // namespace hourglass
