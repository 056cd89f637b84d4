#include "engine/restore/refine.h"

#include <cmath>

#include "engine/restore/nonlocal_bayes.h"
#include "engine/restore/pixel_psnr.h"

namespace hourglass {
namespace {

double rms_difference(const Plane& a, const Plane& b) {
  const auto count = static_cast<int64_t>(a.samples.size());
  return std::sqrt(squared_distance(a.samples.data(), b.samples.data(), count) / static_cast<double>(count));
}

}  // namespace

Image refine(const Image& estimate, const Image& decoded, const JpegModel& model, int passes) {
  constexpr int64_t kLeast = 8;
  if (estimate.width < kLeast || estimate.height < kLeast) return estimate;
  const double noise = kNoiseFactor * rms_difference(model.to_planes(estimate)[0], model.to_planes(decoded)[0]);
  if (!(noise > 0)) return estimate;
  std::vector<double> sigmas(model.file().components.size(), noise);
  if (model.file().color == JpegColor::ycbcr) sigmas[1] = sigmas[2] = kChromaNoise * noise;
  Image current = estimate, previous = estimate;
  for (int pass = 0; pass < passes; ++pass) {
    Image start = current;
    for (std::size_t i = 0; i < start.pixels.size(); ++i) {
      start.pixels[i] += static_cast<float>(kMomentum) * (current.pixels[i] - previous.pixels[i]);
    }
    previous = std::move(current);
    const std::vector<Plane> filtered = nonlocal_bayes(model.to_planes(start), sigmas);
    current = to_posterior_mean(model.to_image(filtered), model, kRefineSigmaFactor);
  }
  return current;
}

}  // namespace hourglass
