#include "engine/restore/jpeg_model.h"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>

#include "engine/restore/dct.h"
#include "engine/restore/round_up.h"
#include "engine/restore/ycbcr.h"
#include "graph/error.h"

namespace hourglass {
namespace {

using Matrix8 = Eigen::Matrix<float, 8, 8, Eigen::RowMajor>;
using Strided = Eigen::Map<Matrix8, 0, Eigen::OuterStride<>>;
using ConstStrided = Eigen::Map<const Matrix8, 0, Eigen::OuterStride<>>;

double basis(int u, int x) { return dct_basis(8, u, x); }

const Matrix8& dct_matrix() {
  static const Matrix8 matrix = [] {
    Matrix8 m;
    for (int u = 0; u < 8; ++u) {
      for (int x = 0; x < 8; ++x) m(u, x) = static_cast<float>(basis(u, x));
    }
    return m;
  }();
  return matrix;
}

constexpr double kLevelShift = 128;

// planes = matrix * channels + shift, for the file's colour space and the network's number of channels.
struct ColorMap {
  std::size_t planes, channels;
  std::vector<double> matrix;  // [planes][channels], includes the factor 255
  std::vector<double> shift;
};

ColorMap color_map(JpegColor color, std::size_t channels) {
  ColorMap map{
      .planes = color == JpegColor::gray ? std::size_t{1} : 3, .channels = channels, .matrix = {}, .shift = {}};
  map.matrix.assign(map.planes * channels, 0);
  map.shift.assign(map.planes, -kLevelShift);
  if (map.planes == 3 && channels != 3)
    fail("a colour JPEG needs a network with 3 output channels, this one has {}", channels);
  if (map.planes == 1 && channels != 1 && channels != 3) {
    fail("a gray JPEG needs a network with 1 or 3 output channels, this one has {}", channels);
  }
  for (std::size_t p = 0; p < map.planes; ++p) {
    for (std::size_t c = 0; c < channels; ++c) {
      double factor = p == c ? 1 : 0;
      if (color == JpegColor::ycbcr || (color == JpegColor::gray && channels == 3)) {
        factor = kYcbcrFromRgb[3 * p + c];
      }
      map.matrix[p * channels + c] = 255 * factor;
    }
    if (color == JpegColor::ycbcr && p > 0) map.shift[p] = 0;
  }
  return map;
}

ValueId pad_edge(GraphBuilder& b, ValueId x, int64_t bottom, int64_t right) {
  if (bottom == 0 && right == 0) return x;
  return b.add("Pad", {x}, {{"pads", Dims{0, 0, 0, 0, 0, 0, bottom, right}}, {"mode", "edge"}}, "jpeg/pad");
}

}  // namespace

void forward_dct(const float* samples, int64_t stride, float* coefficients) {
  const ConstStrided x(samples, Eigen::OuterStride<>(stride));
  Eigen::Map<Matrix8> c(coefficients);
  c.noalias() = dct_matrix() * x * dct_matrix().transpose();
}

void inverse_dct(const float* coefficients, float* samples, int64_t stride) {
  const Eigen::Map<const Matrix8> c(coefficients);
  Strided x(samples, Eigen::OuterStride<>(stride));
  x.noalias() = dct_matrix().transpose() * c * dct_matrix();
}

JpegModel::JpegModel(const JpegCoefficients& file) : file_(&file) {
  for (const JpegComponent& component : file.components) {
    if (file.max_h_sampling % component.h_sampling != 0 || file.max_v_sampling % component.v_sampling != 0) {
      fail("the JPEG samples a component {}x{} against {}x{}: only whole fractions are supported", component.h_sampling,
           component.v_sampling, file.max_h_sampling, file.max_v_sampling);
    }
    ratios_.emplace_back(file.max_h_sampling / component.h_sampling, file.max_v_sampling / component.v_sampling);
  }
}

std::vector<Plane> JpegModel::to_planes(const Image& image) const {
  const ColorMap map = color_map(file_->color, static_cast<std::size_t>(image.channels));
  std::vector<Plane> planes;
  for (std::size_t p = 0; p < map.planes; ++p) {
    Plane plane(image.width, image.height);
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < plane.samples.size(); ++i) {
      double value = map.shift[p];
      for (std::size_t c = 0; c < map.channels; ++c) {
        value += map.matrix[p * map.channels + c] * image.plane(static_cast<int>(c))[i];
      }
      plane.samples[i] = static_cast<float>(value);
    }
    planes.push_back(std::move(plane));
  }
  return planes;
}

Image JpegModel::to_image(const std::vector<Plane>& planes) const {
  Image image(planes[0].width, planes[0].height, static_cast<int>(planes.size()));
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < planes[0].samples.size(); ++i) {
    for (std::size_t c = 0; c < planes.size(); ++c) {
      double value = planes[c].samples[i] + kLevelShift;
      if (file_->color == JpegColor::ycbcr) {
        value = 0;
        for (std::size_t p = 0; p < 3; ++p) {
          value += kRgbFromYcbcr[3 * c + p] * (planes[p].samples[i] + (p == 0 ? kLevelShift : 0));
        }
      }
      image.plane(static_cast<int>(c))[i] = static_cast<float>(value / 255);
    }
  }
  return image;
}

Plane JpegModel::downsample(const Plane& plane, std::size_t component) const {
  const JpegComponent& c = file_->components[component];
  const int64_t rh = ratio_h(component), rv = ratio_v(component);
  Plane result(c.width_in_blocks * 8, c.height_in_blocks * 8);
  const int64_t rows = round_up(plane.height, rv) / rv;
  const float scale = 1.0F / static_cast<float>(rh * rv);
#pragma omp parallel for schedule(static)
  for (int64_t y = 0; y < rows; ++y) {
    float* out = result.row(y);
    for (int64_t x = 0; x < result.width; ++x) {
      float sum = 0;
      for (int64_t dy = 0; dy < rv; ++dy) {
        const float* in = plane.row(std::min(y * rv + dy, plane.height - 1));
        for (int64_t dx = 0; dx < rh; ++dx) sum += in[std::min(x * rh + dx, plane.width - 1)];
      }
      out[x] = sum * scale;
    }
  }
  for (int64_t y = rows; y < result.height; ++y) std::copy_n(result.row(rows - 1), result.width, result.row(y));
  return result;
}

void JpegModel::add_replicated(const Plane& difference, std::size_t component, Plane& plane) const {
  const int64_t rh = ratio_h(component), rv = ratio_v(component);
#pragma omp parallel for schedule(static)
  for (int64_t y = 0; y < plane.height; ++y) {
    const float* from = difference.row(y / rv);
    float* to = plane.row(y);
    for (int64_t x = 0; x < plane.width; ++x) to[x] += from[x / rh];
  }
}

std::vector<ValueId> JpegModel::coefficients(GraphBuilder& b, ValueId image) const {
  const Shape shape = b.graph().shape(image);
  if (shape.rank() != 4 || shape[2] != file_->height || shape[3] != file_->width) {
    fail("the image is {}, the JPEG {}x{}", shape, file_->height, file_->width);
  }
  const ColorMap map = color_map(file_->color, static_cast<std::size_t>(shape[1]));
  const auto planes = static_cast<int64_t>(map.planes);
  const ValueId matrix =
      b.constant({DType::f32, Shape{planes, shape[1], 1, 1}, {map.matrix.begin(), map.matrix.end()}}, "jpeg/color");
  const ValueId shift = b.constant({DType::f32, Shape{planes}, map.shift}, "jpeg/shift");
  const ValueId all = b.add("Conv", {image, matrix, shift}, {}, "jpeg/ycbcr");

  HostTensor basis_images(DType::f32, Shape{64, 1, 8, 8});
  for (int v = 0; v < 8; ++v) {
    for (int u = 0; u < 8; ++u) {
      for (int y = 0; y < 8; ++y) {
        for (int x = 0; x < 8; ++x) {
          basis_images.values[static_cast<std::size_t>(((v * 8 + u) * 8 + y) * 8 + x)] = basis(v, y) * basis(u, x);
        }
      }
    }
  }
  const ValueId dct = b.constant(std::move(basis_images), "jpeg/dct");

  std::vector<ValueId> result;
  for (std::size_t i = 0; i < map.planes; ++i) {
    const JpegComponent& component = file_->components[i];
    const auto channel = static_cast<int64_t>(i);
    ValueId x = all;
    if (planes > 1) {
      x = b.add("Slice", {all}, {{"starts", Dims{channel}}, {"ends", Dims{channel + 1}}, {"axes", Dims{1}}},
                "jpeg/plane");
    }
    const int64_t rh = ratio_h(i), rv = ratio_v(i);
    x = pad_edge(b, x, round_up(shape[2], rv) - shape[2], component.width_in_blocks * 8 * rh - shape[3]);
    if (rh > 1 || rv > 1) {
      x = b.add("AveragePool", {x}, {{"kernel_shape", Dims{rv, rh}}, {"strides", Dims{rv, rh}}}, "jpeg/downsample");
    }
    x = pad_edge(b, x, component.height_in_blocks * 8 - b.graph().shape(x)[2], 0);
    result.push_back(b.add("Conv", {x, dct}, {{"strides", Dims{8, 8}}}, "jpeg/dct"));
  }
  return result;
}

namespace {

// value(cell) * q of every coefficient, as [1, 64, height_in_blocks, width_in_blocks].
template <typename Value>
HostTensor of_cells(const JpegComponent& c, const Value& value) {
  HostTensor result(DType::f32, Shape{1, 64, c.height_in_blocks, c.width_in_blocks});
  std::size_t at = 0;
  for (std::size_t f = 0; f < 64; ++f) {
    for (int64_t row = 0; row < c.height_in_blocks; ++row) {
      for (int64_t column = 0; column < c.width_in_blocks; ++column) {
        result.values[at++] = static_cast<double>(value(c.bits.cell(f, c.block(row, column)[f]))) * c.quantization[f];
      }
    }
  }
  return result;
}

}  // namespace

HostTensor JpegModel::centres(std::size_t component) const {
  return of_cells(file_->components[component], [](const JpegCell& cell) { return cell.middle(); });
}

HostTensor JpegModel::widths(std::size_t component) const {
  const JpegComponent& c = file_->components[component];
  if (!c.bits.is_complete()) return of_cells(c, [](const JpegCell& cell) { return cell.width(); });
  return {DType::f32, Shape{1, 64, 1, 1}, {c.quantization.begin(), c.quantization.end()}};
}

Plane decode_component(const JpegComponent& component) {
  Plane plane(component.width_in_blocks * 8, component.height_in_blocks * 8);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < component.height_in_blocks; ++r) {
    for (int64_t c = 0; c < component.width_in_blocks; ++c) {
      std::array<float, 64> values;
      const int16_t* n = component.block(r, c);
      for (std::size_t f = 0; f < 64; ++f) values[f] = static_cast<float>(n[f]) * component.quantization[f];
      inverse_dct(values.data(), plane.row(r * 8) + c * 8, plane.width);
    }
  }
  return plane;
}

}  // namespace hourglass
