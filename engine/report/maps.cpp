#include "engine/report/maps.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/report/canvas.h"
#include "engine/restore/consistency.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr Color kDarker = rgb(0x0067A5), kBrighter = rgb(0xB3382C), kSame = rgb(0xF7F7F5);
constexpr Color kKept = rgb(0xE3EFEA), kLost = rgb(0xC35100);

void set_pixel(Image& image, int64_t index, const Color& from, const Color& to, double share) {
  const std::array<double, 3> low = {from.red, from.green, from.blue}, high = {to.red, to.green, to.blue};
  for (int channel = 0; channel < 3; ++channel) {
    const auto c = static_cast<std::size_t>(channel);
    image.plane(channel)[index] = static_cast<float>(low[c] + share * (high[c] - low[c]));
  }
}

}  // namespace

DifferenceMap difference_map(const Image& before, const Image& after) {
  if (before.width != after.width || before.height != after.height) {
    fail("the difference of {}x{} and {}x{}: the sizes differ", before.width, before.height, after.width, after.height);
  }
  const Image a = to_gray(before), b = to_gray(after);
  std::vector<float> sizes(a.pixels.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] = std::abs(b.pixels[i] - a.pixels[i]);
  const auto rank = static_cast<std::ptrdiff_t>(0.995 * static_cast<double>(sizes.size() - 1));
  std::nth_element(sizes.begin(), sizes.begin() + rank, sizes.end());
  constexpr double kLeast = 2;
  DifferenceMap map{.image = Image(before.width, before.height, 3),
                    .full_255 = std::max(kLeast, 255.0 * sizes[static_cast<std::size_t>(rank)])};
  for (int64_t i = 0; i < a.plane_size(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double levels = 255.0 * (b.pixels[k] - a.pixels[k]);
    set_pixel(map.image, i, kSame, levels < 0 ? kDarker : kBrighter, std::min(1.0, std::abs(levels) / map.full_255));
  }
  return map;
}

Image cell_map(const Image& image, const JpegModel& model) {
  const JpegCoefficients& file = model.file();
  const std::vector<std::vector<int>> outside = outside_cells(image, model);
  // The finest grid is that of the components with the largest sampling.
  const int64_t width = (file.width + 7) / 8, height = (file.height + 7) / 8;
  Image map(width, height, 3);
  constexpr double kFull = 0.1;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      int lost = 0, all = 0;
      for (std::size_t i = 0; i < file.components.size(); ++i) {
        const JpegComponent& component = file.components[i];
        const int64_t row = std::min(y / model.ratio_v(i), component.height_in_blocks - 1);
        const int64_t column = std::min(x / model.ratio_h(i), component.width_in_blocks - 1);
        lost += outside[i][static_cast<std::size_t>(row * component.width_in_blocks + column)];
        all += 64;
      }
      set_pixel(map, y * width + x, kKept, kLost, std::min(1.0, static_cast<double>(lost) / all / kFull));
    }
  }
  return map;
}

}  // namespace hourglass
