#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/round_up.h"

#include <algorithm>
#include <cmath>

namespace hourglass {
namespace {

// Box-filtered to whole blocks: columns are repeated before the filter and rows behind it, as JpegModel says.
Plane downsample(const Plane& plane, const JpegPipeline::Component& c) {
  Plane result(round_up(plane.width, 8 * c.ratio_h) / c.ratio_h, round_up(plane.height, 8 * c.ratio_v) / c.ratio_v);
  const int64_t rows = round_up(plane.height, c.ratio_v) / c.ratio_v;
  const float scale = 1.0F / static_cast<float>(c.ratio_h * c.ratio_v);
#pragma omp parallel for schedule(static)
  for (int64_t y = 0; y < rows; ++y) {
    float* out = result.row(y);
    for (int64_t x = 0; x < result.width; ++x) {
      float sum = 0;
      for (int64_t dy = 0; dy < c.ratio_v; ++dy) {
        const float* in = plane.row(std::min(y * c.ratio_v + dy, plane.height - 1));
        for (int64_t dx = 0; dx < c.ratio_h; ++dx) sum += in[std::min(x * c.ratio_h + dx, plane.width - 1)];
      }
      out[x] = sum * scale;
    }
  }
  for (int64_t y = rows; y < result.height; ++y) std::copy_n(result.row(rows - 1), result.width, result.row(y));
  return result;
}

// What a file holds of coefficient c: n = round(c / q), as far as it was sent; nothing where the step is zero.
int integer_of(const JpegPipeline::Component& component, std::size_t frequency, float c) {
  if (component.steps[frequency] <= 0) return 0;
  return component.bits.sent(frequency, static_cast<int>(std::nearbyint(c / component.steps[frequency])));
}

// Visits the 8x8 blocks of a plane, each row of blocks in one thread: visit(index of the block, first sample).
template <typename Visit>
void for_each_block(Plane& plane, const Visit& visit) {
  const int64_t columns = plane.width / 8, rows = plane.height / 8;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) visit(r * columns + c, plane.row(r * 8) + c * 8);
  }
}

// One direction of the triangle filter: the nearer sample counts three times. out[2 i] and out[2 i + 1] lie a quarter
// of a sample beside in[i]; the border is repeated.
void double_line(const float* in, int64_t count, int64_t in_stride, float* out, int64_t out_count, int64_t out_stride) {
  for (int64_t i = 0; i < out_count; ++i) {
    const int64_t near = i / 2;
    const int64_t far = std::clamp<int64_t>(i % 2 == 0 ? near - 1 : near + 1, 0, count - 1);
    out[i * out_stride] = 0.75F * in[near * in_stride] + 0.25F * in[far * in_stride];
  }
}

// To height x width pixels as libjpeg's decoders do: the triangle filter where a sample covers two pixels, repetition
// where it covers more. Only the samples that belong to the picture are looked at.
Plane upsample(const Plane& plane, const JpegPipeline::Component& c, int64_t height, int64_t width) {
  const int64_t rows = round_up(height, c.ratio_v) / c.ratio_v, columns = round_up(width, c.ratio_h) / c.ratio_h;
  Plane wide(width, rows);
#pragma omp parallel for schedule(static)
  for (int64_t y = 0; y < rows; ++y) {
    if (c.ratio_h == 2) {
      double_line(plane.row(y), columns, 1, wide.row(y), width, 1);
    } else {
      for (int64_t x = 0; x < width; ++x) wide.row(y)[x] = plane.row(y)[x / c.ratio_h];
    }
  }
  if (c.ratio_v == 1) return wide;
  Plane result(width, height);
#pragma omp parallel for schedule(static)
  for (int64_t y = 0; y < height; ++y) {
    const int64_t near = y / c.ratio_v;
    const int64_t far = c.ratio_v == 2 ? std::clamp<int64_t>(y % 2 == 0 ? near - 1 : near + 1, 0, rows - 1) : near;
    const float* a = wide.row(near);
    const float* b = wide.row(far);
    float* out = result.row(y);
    for (int64_t x = 0; x < width; ++x) out[x] = 0.75F * a[x] + 0.25F * b[x];
  }
  return result;
}

}  // namespace

JpegPipeline::JpegPipeline(const JpegModel& model) {
  for (std::size_t i = 0; i < model.file().components.size(); ++i) {
    Component component{
        .ratio_v = model.ratio_v(i), .ratio_h = model.ratio_h(i), .bits = model.file().components[i].bits};
    const auto& table = model.file().components[i].quantization;
    std::transform(table.begin(), table.end(), component.steps.begin(),
                   [](uint16_t q) { return static_cast<float>(q); });
    components_.push_back(component);
  }
}

std::vector<Plane> JpegPipeline::apply(const std::vector<Plane>& planes) const {
  std::vector<Plane> result;
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const Component& c = components_.at(i);
    Plane small = downsample(planes[i], c);
    for_each_block(small, [&](int64_t, float* samples) {
      float block[64];
      forward_dct(samples, small.width, block);
      for (std::size_t f = 0; f < 64; ++f) block[f] = static_cast<float>(integer_of(c, f, block[f])) * c.steps[f];
      inverse_dct(block, samples, small.width);
    });
    result.push_back(upsample(small, c, planes[i].height, planes[i].width));
  }
  return result;
}

std::vector<int32_t> JpegPipeline::quantized(const Plane& plane, std::size_t component) const {
  const Component& c = components_.at(component);
  Plane small = downsample(plane, c);
  std::vector<int32_t> result(small.samples.size());
  for_each_block(small, [&](int64_t index, float* samples) {
    float block[64];
    forward_dct(samples, small.width, block);
    for (std::size_t f = 0; f < 64; ++f) {
      result[static_cast<std::size_t>(index) * 64 + f] = integer_of(c, f, block[f]);
    }
  });
  return result;
}

double JpegPipeline::coarseness() const {
  double sum = 0;
  for (const std::size_t f : {0, 1, 2, 8, 9, 10, 16, 17, 18}) sum += components_.at(0).steps[f];
  return sum / 9;
}

JpegCoefficients without_coefficients(const JpegCoefficients& file) {
  JpegCoefficients result{.width = file.width,
                          .height = file.height,
                          .color = file.color,
                          .max_h_sampling = file.max_h_sampling,
                          .max_v_sampling = file.max_v_sampling,
                          .components = {},
                          .warnings = {}};
  for (const JpegComponent& c : file.components) {
    result.components.push_back({.h_sampling = c.h_sampling,
                                 .v_sampling = c.v_sampling,
                                 .width = c.width,
                                 .height = c.height,
                                 .width_in_blocks = c.width_in_blocks,
                                 .height_in_blocks = c.height_in_blocks,
                                 .blocks_w = c.blocks_w,
                                 .blocks_h = c.blocks_h,
                                 .quantization = c.quantization,
                                 .coefficients = {},
                                 .bits = c.bits});
  }
  return result;
}

JpegCoefficients compress_like(const std::vector<Plane>& planes, const JpegModel& like) {
  const JpegPipeline pipeline(like);
  JpegCoefficients file = without_coefficients(like.file());
  file.width = planes.at(0).width;
  file.height = planes[0].height;
  for (std::size_t i = 0; i < file.components.size(); ++i) {
    JpegComponent& c = file.components[i];
    c.width = round_up(file.width, like.ratio_h(i)) / like.ratio_h(i);
    c.height = round_up(file.height, like.ratio_v(i)) / like.ratio_v(i);
    c.width_in_blocks = c.blocks_w = round_up(c.width, 8) / 8;
    c.height_in_blocks = c.blocks_h = round_up(c.height, 8) / 8;
    const std::vector<int32_t> n = pipeline.quantized(planes.at(i), i);
    c.coefficients.assign(n.begin(), n.end());
  }
  return file;
}

std::vector<Plane> decode(const JpegModel& model) {
  const JpegPipeline pipeline(model);
  const JpegCoefficients& file = model.file();
  std::vector<Plane> result;
  for (std::size_t i = 0; i < file.components.size(); ++i) {
    result.push_back(upsample(decode_component(file.components[i]), pipeline.components()[i], file.height, file.width));
  }
  return result;
}

}  // namespace hourglass
