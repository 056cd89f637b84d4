// Pictures that nobody took: dead leaves, shapes that hide each other, drawn from a seed.
//
// Shapes of power-law sizes fall on each other until they cover the picture. What is left has edges, junctions and
// statistics at all scales much as photographs have (Lee, Mumford, Huang, "Occlusion models for natural images", IJCV
// 41, 2001), and networks that have seen nothing else denoise photographs almost as well as those that learned from
// photographs (Achddou, Gousseau, Ladjal, SSVM 2021). Here the shapes are ellipses, bars, triangles, blobs and bent
// strands, sharp or slightly out of focus, each of one colour with a gradient, two thirds of them with noise, straight
// or wavy stripes, or spots on it, and all is seen through a slightly blurring lens, mostly with a sensor's noise.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/image/image.h"

namespace hourglass {

struct DeadLeavesOptions {
  int64_t width = 288, height = 288;
  int channels = 1;  // or 3
};

class DeadLeaves {
 public:
  // Throws Error for sizes below 1 and other numbers of channels.
  DeadLeaves(uint64_t seed, const DeadLeavesOptions& options);

  // A function of seed, options and index alone, with values in [0, 1]. May be called from several threads at once.
  [[nodiscard]] Image picture(uint32_t index) const;

 private:
  uint64_t seed_;
  DeadLeavesOptions options_;
  std::vector<std::vector<float>> textures_;  // periodic squares of noise with variance 1, from white to smooth
};

// The first `count` of them, in parallel.
std::vector<Image> draw_dead_leaves(uint64_t seed, const DeadLeavesOptions& options, int64_t count);

}  // namespace hourglass
