#include "engine/restore/denoise_task.h"

#include "engine/restore/energy.h"
#include "engine/restore/pixel_psnr.h"

namespace hourglass {
namespace {

class DenoiseTask : public Task {
 public:
  explicit DenoiseTask(Image noisy) : noisy_(std::move(noisy)) {}

  [[nodiscard]] const Image& baseline() const override { return noisy_; }
  ValueId energy(GraphBuilder& builder, ValueId image) const override { return mse_energy(builder, image, noisy_); }
  [[nodiscard]] double psnr_degraded(const float* image) const override { return pixel_psnr(image, noisy_); }

 private:
  Image noisy_;
};

}  // namespace

std::unique_ptr<Task> make_denoise_task(Image noisy) { return std::make_unique<DenoiseTask>(std::move(noisy)); }

}  // namespace hourglass
