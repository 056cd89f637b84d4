#include "engine/restore/upscale_task.h"

#include <algorithm>

#include "engine/restore/energy.h"
#include "engine/restore/pixel_psnr.h"
#include "engine/restore/resample.h"
#include "graph/error.h"

namespace hourglass {
namespace {

class UpscaleTask : public Task {
 public:
  UpscaleTask(Image small, const UpscaleTaskOptions& options)
      : downsampler_(options.factor, options.lobes), small_(std::move(small)) {
    const int64_t factor = options.factor;
    if (small_.plane_size() > kMaxPixels / (factor * factor)) {
      fail("{}x{} times {} is more than the {} pixels that an image may have", small_.width, small_.height, factor,
           kMaxPixels);
    }
    baseline_ = upsample_bicubic(small_, options.factor);
    clamp(baseline_);
  }

  [[nodiscard]] const Image& baseline() const override { return baseline_; }

  ValueId energy(GraphBuilder& builder, ValueId image) const override {
    return mse_energy(builder, downsampler_.append(builder, image), small_);
  }

  [[nodiscard]] double psnr_degraded(const float* image) const override {
    Image large(baseline_.width, baseline_.height, baseline_.channels);
    std::copy_n(image, large.pixels.size(), large.pixels.begin());
    return pixel_psnr(downsampler_.apply(large).pixels.data(), small_);
  }

 private:
  Downsampler downsampler_;
  Image small_, baseline_;
};

}  // namespace

std::unique_ptr<Task> make_upscale_task(Image small, const UpscaleTaskOptions& options) {
  return std::make_unique<UpscaleTask>(std::move(small), options);
}

}  // namespace hourglass
