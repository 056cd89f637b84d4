#include "engine/restore/refine.h"

#include <cmath>

#include "engine/restore/collaborative_filter.h"
#include "engine/restore/pixel_psnr.h"

namespace hourglass {
namespace {

double rms_difference(const Plane& a, const Plane& b) {
  const auto count = static_cast<int64_t>(a.samples.size());
  return std::sqrt(squared_distance(a.samples.data(), b.samples.data(), count) / static_cast<double>(count));
}

}  // namespace

Image refine(const Image& estimate, const Image& decoded, const JpegModel& model, int passes, double sigma_factor) {
  constexpr int64_t kLeast = 8;
  if (estimate.width < kLeast || estimate.height < kLeast) return estimate;
  std::vector<Plane> source = model.to_planes(estimate);
  const std::vector<Plane> jpeg = model.to_planes(decoded);
  std::vector<double> sigmas;
  for (std::size_t p = 0; p < source.size(); ++p) {
    sigmas.push_back(kNoiseFactor * rms_difference(source[p], jpeg[p]));
    for (std::size_t i = 0; i < source[p].samples.size(); ++i) {
      source[p].samples[i] = (source[p].samples[i] + jpeg[p].samples[i]) / 2;
    }
  }
  Image current = estimate;
  for (int pass = 0; pass < passes; ++pass) {
    const std::vector<Plane> filtered = collaborative_filter(model.to_planes(current), source, sigmas);
    current = to_posterior_mean(model.to_image(filtered), model, sigma_factor);
  }
  return current;
}

}  // namespace hourglass
