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

// `advance` hears of shares from `begin` to `end`.
Image filter_with(const Image& estimate, double noise, const JpegModel& model, int passes, const Advance& advance,
                  double begin, double end) {
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
    if (advance && !advance(begin + (end - begin) * (pass + 1) / passes)) break;
  }
  return current;
}

double noise_between(const Image& estimate, const Image& decoded, const JpegModel& model) {
  return kNoiseFactor * rms_difference(model.to_planes(estimate)[0], model.to_planes(decoded)[0]);
}

constexpr int64_t kLeast = 8;  // pixels in width and height

}  // namespace

Image refine(const Image& estimate, const Image& decoded, const JpegModel& model, int passes, const Advance& advance) {
  if (estimate.width < kLeast || estimate.height < kLeast) return estimate;
  const double noise = noise_between(estimate, decoded, model);
  return noise > 0 ? filter_with(estimate, noise, model, passes, advance, 0, 1) : estimate;
}

Image filter_jpeg(const Image& decoded, const JpegModel& model, const Advance& advance) {
  if (decoded.width < kLeast || decoded.height < kLeast) return decoded;
  double step = 0;
  for (const int f : {0, 1, 2, 8, 9, 10, 16, 17, 18}) {
    step += model.file().components[0].quantization[static_cast<std::size_t>(f)] / 9.0;
  }
  const Image first = filter_with(decoded, 1.195 * std::pow(step, 0.6394) + 0.9673, model, 3, advance, 0, 3.0 / 11);
  const double noise = noise_between(first, decoded, model);
  return noise > 0 ? filter_with(decoded, noise, model, 8, advance, 3.0 / 11, 1) : decoded;
}

}  // namespace hourglass
