#include "engine/image/image.h"

#include <fmt/core.h>

#include <algorithm>

#include "graph/error.h"

namespace hourglass {

void check_memory(int64_t width, int64_t height, int channels, std::size_t limit) {
  const std::size_t bytes = static_cast<std::size_t>(width * height * channels) * sizeof(float);
  constexpr std::size_t kMiB = 1 << 20;
  const auto text = [](std::size_t size) {
    return size < kMiB ? fmt::format("{} bytes", size) : fmt::format("{:.4g} MiB", static_cast<double>(size) / kMiB);
  };
  if (limit > 0 && bytes > limit)
    fail("is {}x{}: its pixels alone need {}, and the limit is {}", width, height, text(bytes), text(limit));
}

Image to_gray(const Image& image) {
  if (image.channels == 1) return image;
  Image gray(image.width, image.height, 1);
  const float *r = image.plane(0), *g = image.plane(1), *b = image.plane(2);
  for (int64_t i = 0; i < image.plane_size(); ++i) gray.pixels[i] = 0.299F * r[i] + 0.587F * g[i] + 0.114F * b[i];
  return gray;
}

Image gray_to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image rgb(image.width, image.height, 3);
  for (int c = 0; c < 3; ++c) std::copy(image.pixels.begin(), image.pixels.end(), rgb.plane(c));
  return rgb;
}

Image crop(const Image& image, int64_t x, int64_t y, int64_t width, int64_t height) {
  if (x < 0 || y < 0 || width < 1 || height < 1 || x > image.width - width || y > image.height - height)
    fail("crop: the rectangle {}x{} at ({}, {}) leaves the image, which is {}x{}", width, height, x, y, image.width,
         image.height);
  Image part(width, height, image.channels);
  for (int c = 0; c < image.channels; ++c)
    for (int64_t row = 0; row < height; ++row)
      std::copy_n(image.plane(c) + (y + row) * image.width + x, width, part.plane(c) + row * width);
  return part;
}

void clamp(Image& image) {
  for (float& value : image.pixels) value = value > 0 ? std::min(value, 1.0F) : 0.0F;
}

}  // namespace hourglass
