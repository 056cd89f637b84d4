// Builds the topologies that a Deep Image Prior is fitted with, as graphs from noise "z" [1, depth, H, W] to
// "image" [1, output channels, H, W].
//
//   SkipOptions options;                     // the standard hourglass
//   options.channels = {8, 16, 32, 64, 128};
//   Graph graph = make_skip(options, 512, 512);
//
// Weights are parameters with PyTorch's default start for Conv2d: weights and bias uniform in +-1/sqrt(fan in);
// normalisations start at scale 1, bias 0, written as uniform in [1, 1) and [0, 0), which is exactly that constant,
// so that an exported file holds no weights. Height and width must be multiples of size_multiple(). Throws Error.
//
// Sources: Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", IJCV 2020, supplementary section 1 (skip);
// Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015 (with normalisation, and padded convolutions).
#pragma once

#include "graph/graph.h"

namespace hourglass {

enum class Upsample : uint8_t { bilinear, nearest };
// stride: the convolution does it; average, max: 2x2 pooling, in a skip network behind the convolution.
enum class Downsample : uint8_t { stride, average, max };
enum class Activation : uint8_t { leaky_relu, swish, elu, relu };  // leaky_relu with slope 0.2
enum class Padding : uint8_t { reflect, zero };

// The skip hourglass. channels[i] belongs to scale i, the finest first; each scale halves the size.
struct SkipOptions {
  std::vector<int64_t> channels{128, 128, 128, 128, 128};
  std::vector<int64_t> up_channels{};         // on the way up; empty: as `channels`
  std::vector<int64_t> skips{4, 4, 4, 4, 4};  // channels of the skip branch, 0 for none
  int64_t input_depth = 32;
  int64_t output_channels = 3;
  int64_t filter_down = 3, filter_up = 3, filter_skip = 1;  // odd
  Upsample upsample = Upsample::bilinear;
  Downsample down = Downsample::stride;
  Activation activation = Activation::leaky_relu;
  Padding padding = Padding::reflect;
  bool extra_1x1_up = true;  // a 1x1 convolution behind the one on the way up
  bool sigmoid = true;       // brings the output to (0, 1)
};

// A U-Net with two convolutions per block and a skip at every block. channels[0] is full size, each further entry
// halves it.
struct UnetOptions {
  std::vector<int64_t> channels{16, 32, 64, 128, 128};
  int64_t input_depth = 32;
  int64_t output_channels = 3;
  int64_t filter = 3;  // odd
  Upsample upsample = Upsample::bilinear;
  Downsample down = Downsample::max;
  Activation activation = Activation::leaky_relu;
  Padding padding = Padding::reflect;
  bool sigmoid = true;
};

Graph make_skip(const SkipOptions& options, int64_t height, int64_t width);
Graph make_unet(const UnetOptions& options, int64_t height, int64_t width);

// What height and width must be multiples of.
int64_t size_multiple(const SkipOptions& options);
int64_t size_multiple(const UnetOptions& options);

}  // namespace hourglass
