#include "engine/restore/noise_degradation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "engine/restore/noise_filter.h"
#include "engine/train/random.h"

namespace hourglass {
namespace {

class NoisyPicture : public Degraded {
 public:
  NoisyPicture(const Degradation& degradation, std::vector<Plane> planes)
      : degradation_(degradation), planes_(std::move(planes)) {}

  [[nodiscard]] const Degradation& degradation() const override { return degradation_; }
  [[nodiscard]] std::vector<Plane> planes() const override { return planes_; }

 private:
  const Degradation& degradation_;
  std::vector<Plane> planes_;
};

// A noisy photograph that is there, with its degradation.
class GivenPhotograph : public Degraded {
 public:
  GivenPhotograph(const Image& noisy, double sigma) : own_(sigma, noisy.channels), noisy_(noisy) {}

  [[nodiscard]] const Degradation& degradation() const override { return own_; }
  [[nodiscard]] std::vector<Plane> planes() const override { return own_.to_planes(noisy_); }

 private:
  NoiseDegradation own_;
  const Image& noisy_;
};

}  // namespace

double filtered_noise(double sigma) { return std::min(sigma, std::pow(sigma, 0.63)); }

std::vector<Plane> NoiseDegradation::to_planes(const Image& image) const {
  std::vector<Plane> planes;
  for (int c = 0; c < image.channels; ++c) {
    Plane plane(image.width, image.height);
    const float* from = image.plane(c);
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < plane.samples.size(); ++i) plane.samples[i] = kGreyLevels * from[i] - kMiddleLevel;
    planes.push_back(std::move(plane));
  }
  return planes;
}

Image NoiseDegradation::to_image(const std::vector<Plane>& planes) const {
  Image image(planes.at(0).width, planes[0].height, static_cast<int>(planes.size()));
  for (int c = 0; c < image.channels; ++c) {
    const std::vector<float>& from = planes[static_cast<std::size_t>(c)].samples;
    float* to = image.plane(c);
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = (from[i] + kMiddleLevel) / kGreyLevels;
  }
  return image;
}

MapConditions NoiseDegradation::conditions() const {
  const double sigma = kGreyLevels * sigma_;
  return {.strength = sigma, .noise = filtered_noise(sigma)};
}

Spoiled NoiseDegradation::spoil(const std::vector<Plane>& picture, uint64_t seed, uint32_t index) const {
  Image noisy = to_image(std::vector<Plane>(picture.begin(), picture.begin() + channels_));
  const std::vector<float> noise = draw_normal(
      seed, Stream::lesson_noise, index, static_cast<int64_t>(noisy.pixels.size()), 0, static_cast<float>(sigma_));
  std::transform(noise.begin(), noise.end(), noisy.pixels.begin(), noisy.pixels.begin(), std::plus<>());
  clamp(noisy);
  return {.picture = std::make_unique<NoisyPicture>(*this, to_planes(noisy)), .filtered = filter_noise(noisy, sigma_)};
}

void NoiseDegradation::identify(Digest& digest) const {
  digest.add(std::array{sigma_, static_cast<double>(channels_)});
}

std::unique_ptr<Degraded> degraded_by_noise(const Image& noisy, double sigma) {
  return std::make_unique<GivenPhotograph>(noisy, sigma);
}

}  // namespace hourglass
