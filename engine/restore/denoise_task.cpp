#include "engine/restore/denoise_task.h"

#include <algorithm>
#include <cmath>

#include "engine/restore/energy.h"
#include "engine/restore/noise.h"
#include "engine/restore/noise_filter.h"
#include "engine/restore/pixel_psnr.h"

namespace hourglass {
namespace {

class DenoiseTask : public Task {
 public:
  // estimate: of the noise, where sigma is 0; 0: none.
  DenoiseTask(Image noisy, double sigma, double estimate)
      : noisy_(std::move(noisy)), sigma_(sigma), estimate_(estimate) {}

  [[nodiscard]] const Image& baseline() const override { return noisy_; }
  ValueId energy(GraphBuilder& builder, ValueId image) const override { return mse_energy(builder, image, noisy_); }
  [[nodiscard]] double psnr_degraded(const float* image) const override { return pixel_psnr(image, noisy_); }

  [[nodiscard]] Discrepancy discrepancy() const override {
    if (sigma_ == 0 && estimate_ == 0) return {};
    return [this](std::span<const float> image) {
      const auto count = static_cast<int64_t>(image.size());
      const double mse = squared_distance(image.data(), noisy_.pixels.data(), count) / static_cast<double>(count);
      // What is estimated from clipped samples is what clipping left.
      const double noise = sigma_ > 0 ? clipped_noise(image.data(), count, sigma_) : estimate_;
      return std::sqrt(mse) / noise;
    };
  }

  [[nodiscard]] std::optional<Finished> filter(int levels, const Advance& advance) const override {
    const double sigma = sigma_ > 0 ? sigma_ : estimate_;
    if (sigma == 0 || std::min(noisy_.width, noisy_.height) < kLeastToFilter) return {};
    return finish(filter_noise(noisy_, sigma, advance), levels, {});
  }

  [[nodiscard]] std::unique_ptr<Task> tile(const Rectangle& rectangle) const override {
    return std::make_unique<DenoiseTask>(crop(noisy_, rectangle.x, rectangle.y, rectangle.width, rectangle.height),
                                         sigma_, estimate_);
  }
  [[nodiscard]] int64_t tile_unit() const override { return 1; }

 private:
  Image noisy_;
  double sigma_, estimate_;
};

}  // namespace

std::unique_ptr<Task> make_denoise_task(Image noisy, double sigma) {
  const bool estimated = sigma == 0 && noisy.width >= 3 && noisy.height >= 3;
  const double estimate = estimated ? estimate_noise(noisy) : 0;
  return std::make_unique<DenoiseTask>(std::move(noisy), sigma, estimate);
}

}  // namespace hourglass
