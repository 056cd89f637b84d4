// The consistency step: from what the network believes to an image that the file could have come from.
//
// The network's prediction of a coefficient is read as c ~ N(prediction, sigma^2), the file adds that the original lies
// in its cell; the best estimate is the mean of that normal truncated to the cell. sigma is estimated from the data:
// sigma_f = kSigmaFactor * rms over the component's blocks of (prediction - middle of the cell), for each frequency f.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/image/image.h"
#include "engine/restore/jpeg_model.h"

namespace hourglass {

// Measured on 256x256 crops of photographs at quality 10: within 0.02 dB of the best fixed sigma.
inline constexpr double kSigmaFactor = 1.4;

// E[x | x ~ N(mean, sigma^2), low <= x <= high]. Exact to float rounding in the tails too, where the normal's mass
// underflows (it is written with Mills' ratio there). sigma = 0 gives the nearest point of the interval.
double truncated_normal_mean(double mean, double sigma, double low, double high);

// The image nearest to `estimate` in the sense above, not clamped or rounded. sigma_factor = 0 clamps into the cells.
Image to_posterior_mean(const Image& estimate, const JpegModel& model, double sigma_factor = kSigmaFactor);
// The same in place, of the planes that JpegModel::to_planes() makes of the image.
void to_posterior_mean(std::vector<Plane>& planes, const JpegModel& model, double sigma_factor);

// Puts the image through the file's own pipeline and counts the coefficients that come out as in the file.
struct CellCheck {
  int64_t coefficients = 0;
  int64_t same = 0;
  double farthest = 0;  // beyond its cell, of the others; in the units of coefficients, not in steps
  // Of the others, those that are zero in the file and would come out of cells twice as wide: an encoder that prefers
  // zeros (mozjpeg's trellis does, and so do dead zones) makes them of the original too.
  int64_t near_zero = 0;
  [[nodiscard]] double share() const {
    return coefficients == 0 ? 1 : static_cast<double>(same) / static_cast<double>(coefficients);
  }
  CellCheck& operator+=(const CellCheck& other) {
    coefficients += other.coefficients, same += other.same, near_zero += other.near_zero;
    farthest = std::max(farthest, other.farthest);
    return *this;
  }
};
CellCheck check_cells(const Image& image, const JpegModel& model);

// How far beyond its cell a coefficient of the original may lie: an encoder rounds samples to integers, and half a grey
// level at each of a block's 64 samples moves a coefficient by at most 64 / 2 / 8 = 4 (each vector of the DCT has
// length 1, hence a sum of magnitudes of at most 8). libjpeg, with all of its roundings, moves those of a photograph by
// up to 2.7 (chelsea.png, qualities 10 to 100).
inline constexpr double kEncoderRounding = 4;

// Alternates the cells with [0, 1] and, for levels > 0, with rounding to that many steps (255 or 65535), and returns
// the iterate for which most coefficients come out as in the file, for each row of MCUs by itself. Its values lie in
// [0, 1], on the grid of levels.
Image to_consistent(Image image, const JpegModel& model, int levels);
// check_cells() of that, without the image.
CellCheck check_consistent(const Image& image, const JpegModel& model, int levels);

// The same block by block: how many of its 64 coefficients come out otherwise, for each component in the order of its
// blocks that belong to the image (width_in_blocks to a row).
std::vector<std::vector<int>> outside_cells(const Image& image, const JpegModel& model);

// Root mean square of (coefficient - middle) / width of its cell over the coefficients that the file did not round to
// zero, and all DC ones: how far inside its cells an image sits. The JPEG itself is at 0.
double rms_cell_offset(const Image& image, const JpegModel& model);

// The same of originals, within 0.01: five photographs at qualities 10 and 40. A coefficient that may lie anywhere in
// its cell gives 1 / sqrt(12) = 0.289; a little more because small ones are more frequent than large ones.
inline constexpr double kOriginalCellOffset = 0.305;

}  // namespace hourglass
