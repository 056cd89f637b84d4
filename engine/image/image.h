// A picture in memory, as every layer above the codecs sees it.
//
// Planar: all of the first channel, row by row, then the next (CHW, what the network reads). Values are coded as in the
// file (sRGB for almost all photographs), 1.0 stands for the largest code (255, or 65535 in a 16-bit PNG). They may
// leave [0, 1] between the steps of a computation; the encoders clamp.
#pragma once

#include <cstdint>
#include <vector>

namespace hourglass {

// What the codecs accept, so that a file of a few bytes cannot ask for all memory: 16384 x 16384.
inline constexpr int64_t kMaxPixels = int64_t{1} << 28;

struct Image {
  int64_t width = 0, height = 0;
  int channels = 0;           // 1: gray, 3: red, green, blue
  std::vector<float> pixels;  // [channels][height][width]

  Image() = default;
  // Black.
  Image(int64_t width_, int64_t height_, int channels_)
      : width(width_),
        height(height_),
        channels(channels_),
        pixels(static_cast<std::size_t>(width_ * height_ * channels_)) {}

  [[nodiscard]] int64_t plane_size() const { return width * height; }
  [[nodiscard]] float* plane(int channel) { return pixels.data() + channel * plane_size(); }
  [[nodiscard]] const float* plane(int channel) const { return pixels.data() + channel * plane_size(); }
  [[nodiscard]] float& at(int channel, int64_t y, int64_t x) { return plane(channel)[y * width + x]; }
  [[nodiscard]] float at(int channel, int64_t y, int64_t x) const { return plane(channel)[y * width + x]; }
};

// Throws Error where the pixels of such an image take more than `limit` bytes (0: no limit).
void check_memory(int64_t width, int64_t height, int channels, std::size_t limit);

// Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, as JFIF uses it). A gray image is its own luma.
Image to_gray(const Image& image);
// The same plane three times. An RGB image comes back as it is.
Image gray_to_rgb(const Image& image);
// The rectangle whose upper left corner is (x, y). Throws Error when it leaves the image.
Image crop(const Image& image, int64_t x, int64_t y, int64_t width, int64_t height);
// Into [0, 1]; NaN becomes 0.
void clamp(Image& image);

// The nearest 8-bit and 16-bit codes; below 0 and NaN give 0.
inline uint8_t to_byte(float value) {
  return value > 0 ? (value < 1 ? static_cast<uint8_t>(value * 255.0F + 0.5F) : uint8_t{255}) : uint8_t{0};
}
inline uint16_t to_word(float value) {
  return value > 0 ? (value < 1 ? static_cast<uint16_t>(value * 65535.0F + 0.5F) : uint16_t{65535}) : uint16_t{0};
}

}  // namespace hourglass
