#include "engine/restore/pixel_psnr.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/loops/clones.h"

namespace hourglass {

HG_CLONES double squared_distance(const float* a, const float* b, int64_t count) {
  double total = 0;
  constexpr int64_t kChunk = 4096;  // short enough for a float sum
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t end = std::min(count, begin + kChunk);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = begin; i < end; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    total += sum;
  }
  return total;
}

double psnr_of_mse(double mse) { return mse > 0 ? -10 * std::log10(mse) : std::numeric_limits<double>::infinity(); }

double pixel_psnr(const float* a, const Image& b) {
  const auto count = static_cast<int64_t>(b.pixels.size());
  return psnr_of_mse(squared_distance(a, b.pixels.data(), count) / static_cast<double>(count));
}

}  // namespace hourglass
