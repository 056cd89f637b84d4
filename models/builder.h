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
// Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015 (with normalisation, and padded convolutions);
// He, Zhang, Ren, Sun, "Deep Residual Learning", CVPR 2016 (resnet); Heckel, Hand, "Deep Decoder", ICLR 2019;
// Ulyanov, Lebedev, Vedaldi, Lempitsky, "Texture Networks", ICML 2016, figure 2 (texture).
#pragma once

#include "graph/graph.h"

namespace hourglass {

// transposed: a convolution of 4x4, trained.
enum class Upsample : uint8_t { bilinear, nearest, transposed };
// stride: the convolution does it; the others, in a skip network behind the convolution, by 2x2 pooling or by Lanczos'
// filter of 8x8.
enum class Downsample : uint8_t { stride, average, max, lanczos };
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

// Residual blocks at full size: src + norm(conv(act(norm(conv(src))))), between two convolutions.
struct ResnetOptions {
  int64_t channels = 32, blocks = 8;
  int64_t input_depth = 32;
  int64_t output_channels = 3;
  int64_t filter = 3;  // odd
  Activation activation = Activation::leaky_relu;
  Padding padding = Padding::reflect;
  bool sigmoid = true;
};

// 1x1 convolutions and upsampling only, each with activation and normalisation. channels[0] is the smallest scale; its
// input is z, averaged over squares of 2^scales.
struct DeepDecoderOptions {
  std::vector<int64_t> channels{128, 128, 128, 128, 128};
  int64_t input_depth = 32;
  int64_t output_channels = 3;
  Upsample upsample = Upsample::bilinear;
  Activation activation = Activation::relu;
  bool sigmoid = true;
};

// The generator of texture networks: z at each of `scales` sizes, averaged, joins what comes up from the smaller ones;
// `channels` more with each.
struct TextureOptions {
  int64_t channels = 8, scales = 5;
  int64_t input_depth = 32;
  int64_t output_channels = 3;
  int64_t filter = 3;  // odd
  Upsample upsample = Upsample::nearest;
  Activation activation = Activation::leaky_relu;
  Padding padding = Padding::reflect;
  bool sigmoid = true;
};

// A U-Net that corrects a picture: channels [0, output_channels) of z, plus the last channel of z times what the
// network makes of all of z. No normalisation, so that what a pixel becomes depends on its surroundings alone and a
// picture may be cut into tiles; zero padding; LeakyRelu of slope 0.1 behind each 3x3 convolution; convolutions of 2x2
// between the scales. It starts near the identity. channels[0] is full size, each further entry halves it.
struct ResidualUnetOptions {
  std::vector<int64_t> channels{24, 48, 64};
  int64_t convolutions = 2;  // of 3x3 in each block
  int64_t input_depth = 12;
  int64_t output_channels = 1;
};

// No network but a degradation, "image" [1, channels, H, W] to "measurement" of the same shape: Gaussian blur, the
// border repeated. Any size.
struct BlurOptions {
  double sigma = 1.5;  // in pixels
  int64_t channels = 3;
};
Graph make_blur(const BlurOptions& options, int64_t height, int64_t width);

Graph make_skip(const SkipOptions& options, int64_t height, int64_t width);
Graph make_unet(const UnetOptions& options, int64_t height, int64_t width);
Graph make_resnet(const ResnetOptions& options, int64_t height, int64_t width);
Graph make_deep_decoder(const DeepDecoderOptions& options, int64_t height, int64_t width);
Graph make_texture(const TextureOptions& options, int64_t height, int64_t width);
Graph make_residual_unet(const ResidualUnetOptions& options, int64_t height, int64_t width);

// What height and width must be multiples of.
int64_t size_multiple(const SkipOptions& options);
int64_t size_multiple(const UnetOptions& options);
int64_t size_multiple(const ResnetOptions& options);
int64_t size_multiple(const DeepDecoderOptions& options);
int64_t size_multiple(const TextureOptions& options);
int64_t size_multiple(const ResidualUnetOptions& options);

}  // namespace hourglass
