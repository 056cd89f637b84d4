#include "engine/restore/degrade.h"

#include "engine/train/random.h"
#include "graph/error.h"

namespace hourglass {

Image add_noise(const Image& image, double sigma_255, uint64_t seed) {
  Image noisy = image;
  const std::vector<float> noise = draw_normal(seed, Stream::degradation, 0, static_cast<int64_t>(image.pixels.size()),
                                               0.0F, static_cast<float>(sigma_255 / 255));
  for (std::size_t i = 0; i < noise.size(); ++i) noisy.pixels[i] += noise[i];
  clamp(noisy);
  return noisy;
}

Image draw_mask(int64_t width, int64_t height, double share, uint64_t seed) {
  Image mask(width, height, 1);
  mask.pixels = draw_uniform(seed, Stream::degradation, 0, width * height, 0.0F, 1.0F);
  for (float& value : mask.pixels) value = static_cast<double>(value) < share ? 0.0F : 1.0F;
  return mask;
}

Image apply_mask(const Image& image, const Image& mask) {
  if (mask.width != image.width || mask.height != image.height || mask.channels != 1) {
    fail("the mask is {}x{} with {} channels, the image {}x{}: one channel of the image's size is needed", mask.width,
         mask.height, mask.channels, image.width, image.height);
  }
  Image masked = image;
  for (int c = 0; c < image.channels; ++c) {
    for (int64_t i = 0; i < image.plane_size(); ++i) masked.plane(c)[i] *= mask.pixels[static_cast<std::size_t>(i)];
  }
  return masked;
}

}  // namespace hourglass
