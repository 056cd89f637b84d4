#include "engine/restore/inpaint_task.h"

#include <algorithm>

#include "engine/restore/energy.h"
#include "engine/restore/pixel_psnr.h"
#include "graph/error.h"
#include "ops/loops/clones.h"

namespace hourglass {
namespace {

// Row by row, since a row is short enough for a float sum.
HG_CLONES float masked_row(const float* a, const float* b, const float* mask, int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += mask[i] * (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

class InpaintTask : public Task {
 public:
  InpaintTask(Image image, const Image& mask, const InpaintTaskOptions& options)
      : options_(options), image_(std::move(image)), known_(image_.width, image_.height, 1) {
    if (mask.width != image_.width || mask.height != image_.height) {
      fail("is {}x{}, the image {}x{}: a mask must have the image's size", mask.width, mask.height, image_.width,
           image_.height);
    }
    std::transform(mask.pixels.begin(), mask.pixels.begin() + mask.plane_size(), known_.pixels.begin(),
                   [](float value) { return value >= kKnownFrom ? 1.0F : 0.0F; });
    count_ = std::count(known_.pixels.begin(), known_.pixels.end(), 1.0F);
    if (count_ == 0) fail("is black everywhere: nothing is known of the image (white means: keep)");
    if (count_ == known_.plane_size()) fail("is white everywhere: nothing is missing (black means: fill in)");
  }

  [[nodiscard]] const Image& baseline() const override { return image_; }

  ValueId energy(GraphBuilder& builder, ValueId image) const override {
    return masked_mse_energy(builder, image, image_, known_);
  }

  [[nodiscard]] double psnr_degraded(const float* image) const override {
    double total = 0;
    for (int c = 0; c < image_.channels; ++c) {
      for (int64_t y = 0; y < image_.height; ++y) {
        const int64_t at = y * image_.width;
        total += masked_row(image + c * image_.plane_size() + at, image_.plane(c) + at, known_.pixels.data() + at,
                            image_.width);
      }
    }
    return psnr_of_mse(total / static_cast<double>(count_ * image_.channels));
  }

  [[nodiscard]] Finished finish(Image average, int levels, const Advance& advance) const override {
    if (options_.keep_known) {
      for (int c = 0; c < image_.channels; ++c) {
        for (int64_t i = 0; i < image_.plane_size(); ++i) {
          if (known_.pixels[static_cast<std::size_t>(i)] > 0) average.plane(c)[i] = image_.plane(c)[i];
        }
      }
    }
    return Task::finish(std::move(average), levels, advance);
  }

 private:
  InpaintTaskOptions options_;
  Image image_;
  Image known_;  // 1 where a pixel is known, else 0
  int64_t count_ = 0;
};

}  // namespace

std::unique_ptr<Task> make_inpaint_task(Image image, const Image& mask, const InpaintTaskOptions& options) {
  return std::make_unique<InpaintTask>(std::move(image), mask, options);
}

}  // namespace hourglass
