// Smaller and larger images: the downsampler D of super-resolution, as plain code and as a graph fragment, and the
// interpolation that a result is compared with.
//
// The downsampler is separable, with Lanczos weights stretched by the factor f and the phase of half a sample, as in
// the paper's code (Ulyanov, Vedaldi, Lempitsky, IJCV 2020; Turkowski, "Filters for common resampling tasks", 1990):
//   w_t ~ sinc(d_t) sinc(d_t / a),  d_t = (t + 1/2) / f - a,  t = 0 ... 2 a f - 1,  scaled to sum 1
//   small(y, x) = sum over t, s of w_t w_s large(f y + t - p, f x + s - p),  p = f (2 a - 1) / 2, edges replicated
#pragma once

#include <vector>

#include "engine/image/image.h"
#include "graph/graph.h"

namespace hourglass {

class Downsampler {
 public:
  // factor: 2, 4 or 8. lobes: a, 2 or 3. Throws Error for others.
  explicit Downsampler(int factor, int lobes = 2);

  [[nodiscard]] int factor() const { return factor_; }
  [[nodiscard]] const std::vector<double>& weights() const { return weights_; }

  // The image's sides must be multiples of the factor: throws Error.
  [[nodiscard]] Image apply(const Image& image) const;
  // image [1, C, H, W] -> [1, C, H / f, W / f], a strided depthwise convolution.
  ValueId append(GraphBuilder& builder, ValueId image) const;

 private:
  int factor_;
  int64_t padding_;  // p
  std::vector<double> weights_;
};

// `factor` times smaller, not a whole number: the same filter with three lobes, at the samples' own places. The sides
// are rounded down; not clamped. factor: at least 1, and not so large that nothing is left. Throws Error for others.
Image shrink(const Image& image, double factor);

// `factor` times as wide and high, with the cubic of Keys (IEEE TASSP 29(6), 1981; a = -1/2), edges replicated; not
// clamped.
Image upsample_bicubic(const Image& image, int factor);

}  // namespace hourglass
