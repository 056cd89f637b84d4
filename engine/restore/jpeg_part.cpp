#include "engine/restore/jpeg_part.h"

#include <algorithm>

namespace hourglass {
namespace {

// One direction of a component: the blocks [begin, end), and how many samples of the picture they hold.
struct Blocks {
  int64_t begin, end, samples;
  [[nodiscard]] int64_t count() const { return end - begin; }
};

// first, length: of the rectangle, in pixels. sampling, samples, blocks: of the component.
Blocks blocks_of(int64_t first, int64_t length, int64_t mcu, int sampling, int64_t samples, int64_t blocks) {
  const int64_t begin = first / mcu * sampling, wanted = (length + mcu - 1) / mcu * sampling;
  return {
      .begin = begin, .end = std::min(begin + wanted, blocks), .samples = std::min(samples - begin * 8, wanted * 8)};
}

}  // namespace

JpegCoefficients part_of(const JpegCoefficients& file, const Rectangle& rectangle) {
  JpegCoefficients part{.width = rectangle.width,
                        .height = rectangle.height,
                        .color = file.color,
                        .max_h_sampling = file.max_h_sampling,
                        .max_v_sampling = file.max_v_sampling,
                        .components = {},
                        .warnings = {}};
  for (const JpegComponent& whole : file.components) {
    const Blocks rows = blocks_of(rectangle.y, rectangle.height, mcu_height(file), whole.v_sampling, whole.height,
                                  whole.height_in_blocks);
    const Blocks columns =
        blocks_of(rectangle.x, rectangle.width, mcu_width(file), whole.h_sampling, whole.width, whole.width_in_blocks);
    JpegComponent component{.h_sampling = whole.h_sampling,
                            .v_sampling = whole.v_sampling,
                            .width = columns.samples,
                            .height = rows.samples,
                            .width_in_blocks = columns.count(),
                            .height_in_blocks = rows.count(),
                            .blocks_w = columns.count(),
                            .blocks_h = rows.count(),
                            .quantization = whole.quantization,
                            .coefficients = {},
                            .bits = whole.bits};
    component.coefficients.reserve(static_cast<std::size_t>(rows.count() * columns.count()) * 64);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int16_t* first = whole.block(row, columns.begin);
      component.coefficients.insert(component.coefficients.end(), first, first + columns.count() * 64);
    }
    part.components.push_back(std::move(component));
  }
  return part;
}

}  // namespace hourglass
