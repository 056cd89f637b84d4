// What a JPEG encoder does to an image before it rounds, twice: as plain code and as a graph fragment.
//
//   RGB --(JFIF's BT.601 matrix, minus 128)--> Y Cb Cr --(edge replication, box filter)--> component planes
//       --(8x8 DCT-II, orthonormal)--> coefficients;  the encoder then writes n = round(coefficient / q).
//
// So the original's coefficient lies in the *cell* [(n - 1/2) q, (n + 1/2) q]. Edges as libjpeg treats them: columns
// are replicated to whole blocks before the box filter, rows to a whole row group before it and to whole blocks after
// it. Everything is in grey levels (one 8-bit step = 1) from the colour matrix on.
#pragma once

#include <vector>

#include "engine/image/image.h"
#include "engine/image/jpeg.h"
#include "graph/graph.h"

namespace hourglass {

// Row-major; values are samples minus 128.
struct Plane {
  int64_t width = 0, height = 0;
  std::vector<float> samples;

  Plane() = default;
  Plane(int64_t width_, int64_t height_)
      : width(width_), height(height_), samples(static_cast<std::size_t>(width_ * height_)) {}
  [[nodiscard]] float* row(int64_t y) { return samples.data() + y * width; }
  [[nodiscard]] const float* row(int64_t y) const { return samples.data() + y * width; }
};

// The model of one file: sizes, sampling and tables as read from it.
class JpegModel {
 public:
  // Throws Error when a component's sampling is not a whole fraction of the largest.
  explicit JpegModel(const JpegCoefficients& file);

  // How many image samples one sample of the component covers.
  [[nodiscard]] int64_t ratio_h(std::size_t component) const { return ratios_[component].first; }
  [[nodiscard]] int64_t ratio_v(std::size_t component) const { return ratios_[component].second; }

  // Image (values 1.0 = 255, channels 1 for gray files, else 3) to full-resolution Y Cb Cr (or R G B, or gray), and
  // back; not clamped.
  [[nodiscard]] std::vector<Plane> to_planes(const Image& image) const;
  [[nodiscard]] Image to_image(const std::vector<Plane>& planes) const;
  // A full-resolution plane filled up and box-filtered to the component's whole blocks.
  [[nodiscard]] Plane downsample(const Plane& plane, std::size_t component) const;
  // Adds to each image sample the value of the component's sample that covers it.
  void add_replicated(const Plane& difference, std::size_t component, Plane& plane) const;

  // The graph fragment: image [1, C, height, width] in [0, 1] -> one [1, 64, blocks_v, blocks_h] per component; channel
  // 8 v + u is frequency (v, u). C may be 3 for a gray file: then its luma is taken.
  std::vector<ValueId> coefficients(GraphBuilder& builder, ValueId image) const;
  // The middles of the cells in the same shape, n * q where all bits were sent, and their widths; of a complete file as
  // [1, 64, 1, 1].
  [[nodiscard]] HostTensor centres(std::size_t component) const;
  [[nodiscard]] HostTensor widths(std::size_t component) const;
  // The quantization step of the element of those two's full shape.
  [[nodiscard]] double step(std::size_t component, std::size_t element) const {
    const JpegComponent& c = file_->components[component];
    return c.quantization[element / static_cast<std::size_t>(c.height_in_blocks * c.width_in_blocks)];
  }

  [[nodiscard]] const JpegCoefficients& file() const { return *file_; }

 private:
  const JpegCoefficients* file_;
  std::vector<std::pair<int64_t, int64_t>> ratios_;  // horizontal, vertical
};

// The component's samples as its coefficients say them, in whole blocks, neither rounded nor clamped.
Plane decode_component(const JpegComponent& component);

// The orthonormal 8x8 DCT-II of a block whose rows lie `stride` apart, in natural order, and its inverse.
void forward_dct(const float* samples, int64_t stride, float* coefficients);
void inverse_dct(const float* coefficients, float* samples, int64_t stride);

}  // namespace hourglass
