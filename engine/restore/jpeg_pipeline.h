// J: what a JPEG encoder and a decoder together make of a picture, with one file's tables and sampling, for pictures of
// any size.
//
//   planes --(box filter)--> component planes --(8x8 DCT)--> c --> q round(c / q) --(inverse DCT)--> component planes
//          --(the decoder's interpolation)--> planes
//
// A network that is to undo it learns from pairs (J(t), t), and is then applied to decode(), which computes the file's
// own pixels by the same functions. Nothing is rounded or clipped to 8 bits on the way, neither there nor here: the
// coefficients alone are rounded, by far the most of what is lost.
#pragma once

#include <array>
#include <vector>

#include "engine/restore/jpeg_model.h"

namespace hourglass {

class JpegPipeline {
 public:
  // One colour component: how many pixels a sample covers in each direction, the quantization steps, [vertical
  // frequency][horizontal frequency], and the bits that are sent.
  struct Component {
    int64_t ratio_v = 1, ratio_h = 1;
    std::array<float, 64> steps{};
    JpegBits bits{};
  };

  explicit JpegPipeline(std::vector<Component> components) : components_(std::move(components)) {}
  // The file's.
  explicit JpegPipeline(const JpegModel& model);

  // J(planes). One plane of full size for each component, samples minus 128. Where the grid reaches beyond the picture,
  // the picture's border is repeated.
  [[nodiscard]] std::vector<Plane> apply(const std::vector<Plane>& planes) const;
  // The integers n = round(c / q) that an encoder would write, without the bits that the file lacks, block by block,
  // row by row, 64 to a block in natural order. The plane of full size that belongs to the component.
  [[nodiscard]] std::vector<int32_t> quantized(const Plane& plane, std::size_t component) const;

  [[nodiscard]] const std::vector<Component>& components() const { return components_; }
  // The mean of the nine steps of lowest frequency of the first component: how coarse it is.
  [[nodiscard]] double coarseness() const;

 private:
  std::vector<Component> components_;
};

// Sizes, tables and sampling alone, without warnings.
JpegCoefficients without_coefficients(const JpegCoefficients& file);

// The file that an encoder would make of another picture with the tables and the sampling of `like`; without warnings.
// planes: as many as `like` has components, of equal size.
JpegCoefficients compress_like(const std::vector<Plane>& planes, const JpegModel& like);

// The file's own pixels, before colours are converted: planes of the image's size as apply() makes them.
std::vector<Plane> decode(const JpegModel& model);

}  // namespace hourglass
