// White noise of known strength as a degradation: added in R, G and B alike and clipped to the range, and the filter of
// noise_filter.h.
#pragma once

#include <memory>
#include <vector>

#include "engine/image/image.h"
#include "engine/restore/degradation.h"

namespace hourglass {

// The rms error of the filter's picture in grey levels, where the noise has the standard deviation `sigma` (grey
// levels): a power law through what the reference photographs have at sigma 15, 25 and 50 (bench/README.md, "Noise").
double filtered_noise(double sigma);

class NoiseDegradation : public Degradation {
 public:
  // sigma: the standard deviation, in units of the range (1 = 255), above 0. channels: 1 or 3.
  NoiseDegradation(double sigma, int channels) : sigma_(sigma), channels_(channels) {}

  [[nodiscard]] std::size_t channels() const override { return static_cast<std::size_t>(channels_); }
  [[nodiscard]] std::vector<Plane> to_planes(const Image& image) const override;
  [[nodiscard]] Image to_image(const std::vector<Plane>& planes) const override;
  [[nodiscard]] MapConditions conditions() const override;
  [[nodiscard]] Spoiled spoil(const std::vector<Plane>& picture, uint64_t seed, uint32_t index) const override;
  void identify(Digest& digest) const override;

 private:
  double sigma_;
  int channels_;
};

// A photograph with noise that is there. It must outlive what this makes.
std::unique_ptr<Degraded> degraded_by_noise(const Image& noisy, double sigma);

}  // namespace hourglass
