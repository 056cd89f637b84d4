// What the topologies of builder.h are made of.
#pragma once

#include "models/builder.h"

namespace hourglass::models {

struct Style {
  Upsample upsample = Upsample::bilinear;
  Downsample down = Downsample::stride;
  Activation activation = Activation::leaky_relu;
  Padding padding = Padding::reflect;
};

// Adds layers to a graph. `name` is the layer's place in the network, "s0/down1"; its nodes are called s0/down1/conv,
// s0/down1/bn, ..., its parameters s0/down1/conv.weight, ...
class Layers {
 public:
  Layers(Graph& graph, const Style& style);

  ValueId input(int64_t depth, int64_t height, int64_t width);
  // "Same" padding: the size stays, or is halved by stride 2.
  ValueId conv(const std::string& name, ValueId src, int64_t channels, int64_t kernel, int64_t stride = 1);
  ValueId normalize(const std::string& name, ValueId src);
  ValueId activate(const std::string& name, ValueId src);
  // conv, normalise, activate.
  ValueId block(const std::string& name, ValueId src, int64_t channels, int64_t kernel);
  // The same at half the size. Pooling stands directly behind the convolution, as in the authors' network.
  ValueId block_down(const std::string& name, ValueId src, int64_t channels, int64_t kernel);
  // Halves, in the style's way other than stride.
  ValueId pool(const std::string& name, ValueId src);
  // Averages over squares of `side`.
  ValueId average(const std::string& name, ValueId src, int64_t side);
  ValueId upsample(const std::string& name, ValueId src);
  ValueId add(const std::string& name, ValueId a, ValueId b);
  // What comes from below first, the skip behind it. The authors put the skip first; the two differ by a permutation
  // of the next layer's parameters only, but this order keeps the wide part at a channel offset of 0 and the few skip
  // channels at a multiple of 16, where blocked layouts let both branches write into the result directly.
  ValueId concat(const std::string& name, ValueId deeper, ValueId skip);
  // A 1x1 convolution to `channels`; the graph's output.
  void output(ValueId src, int64_t channels, bool sigmoid);

 private:
  ValueId lanczos(const std::string& name, ValueId src);
  ValueId transposed(const std::string& name, ValueId src);

  GraphBuilder b_;
  Style style_;
};

// Each throws Error, naming the option, for what makes no network.
void check_channels(std::string_view what, const std::vector<int64_t>& channels, int64_t least);
void check_filter(std::string_view what, int64_t size);
void check_scales(const std::vector<int64_t>& channels);
// At the deepest scale, `multiple` times smaller than the image, a convolution with `filter` must find what it pads
// with.
void check_size(int64_t height, int64_t width, int64_t multiple, int64_t filter, Padding padding);

}  // namespace hourglass::models
