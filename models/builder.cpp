#include "models/builder.h"

#include <algorithm>
#include <cmath>

#include "graph/error.h"
#include "ops/table.h"

namespace hourglass {
namespace {

struct Style {
  Upsample upsample;
  Downsample down;
  Activation activation;
  Padding padding;
};

// The layers that both topologies are made of. `name` is the layer's place in the network, "s0/down1"; its nodes
// are called s0/down1/conv, s0/down1/bn, ..., its parameters s0/down1/conv.weight, ...
class Layers {
 public:
  Layers(Graph& graph, const Style& style) : b_(graph, op_table()), style_(style) {}

  ValueId input(int64_t depth, int64_t height, int64_t width) {
    return b_.input("z", {DType::f32, Shape{1, depth, height, width}});
  }

  // "Same" padding: the size stays, or is halved by stride 2.
  ValueId conv(const std::string& name, ValueId src, int64_t channels, int64_t kernel, int64_t stride = 1) {
    const int64_t src_channels = b_.graph().shape(src)[1];
    const int64_t pad = (kernel - 1) / 2;
    // ONNX's Conv pads with zeros only; a reflection is a node of its own, which the runtime may fold away.
    const bool reflect = style_.padding == Padding::reflect && pad > 0;
    if (reflect) {
      src = b_.add("Pad", {src}, {{"mode", "reflect"}, {"pads", Dims{0, 0, pad, pad, 0, 0, pad, pad}}}, name + "/pad");
    }
    const int64_t own = reflect ? 0 : pad;
    const double bound = 1 / std::sqrt(static_cast<double>(src_channels * kernel * kernel));
    const Init init{.kind = Init::Kind::uniform, .low = -bound, .high = bound};
    const std::string node = name + "/conv";
    const ValueId weight =
        b_.parameter(node + ".weight", {DType::f32, Shape{channels, src_channels, kernel, kernel}}, init);
    const ValueId bias = b_.parameter(node + ".bias", {DType::f32, Shape{channels}}, init);
    return b_.add(
        "Conv", {src, weight, bias},
        {{"kernel_shape", Dims{kernel, kernel}}, {"pads", Dims{own, own, own, own}}, {"strides", Dims{stride, stride}}},
        node);
  }

  ValueId normalize(const std::string& name, ValueId src) {
    const std::string node = name + "/bn";
    const TensorType type{DType::f32, Shape{b_.graph().shape(src)[1]}};
    const ValueId scale = b_.parameter(node + ".scale", type, {.kind = Init::Kind::uniform, .low = 1, .high = 1});
    const ValueId bias = b_.parameter(node + ".bias", type, {.kind = Init::Kind::uniform, .low = 0, .high = 0});
    return b_.add("BatchNormalization", {src, scale, bias}, {{"epsilon", 1e-5}, {"training_mode", int64_t{1}}}, node);
  }

  ValueId activate(const std::string& name, ValueId src) {
    const std::string node = name + "/act";
    switch (style_.activation) {
      case Activation::leaky_relu: return b_.add("LeakyRelu", {src}, {{"alpha", 0.2}}, node);
      case Activation::swish: return b_.add("Mul", {src, b_.add("Sigmoid", {src}, {}, node + "/sigmoid")}, {}, node);
      case Activation::elu: return b_.add("Elu", {src}, {{"alpha", 1.0}}, node);
      case Activation::relu: return b_.add("Relu", {src}, {}, node);
    }
    return src;
  }

  // conv, normalise, activate.
  ValueId block(const std::string& name, ValueId src, int64_t channels, int64_t kernel) {
    return activate(name, normalize(name, conv(name, src, channels, kernel)));
  }

  // The same at half the size. Pooling stands directly behind the convolution, as in the authors' network.
  ValueId block_down(const std::string& name, ValueId src, int64_t channels, int64_t kernel) {
    const bool strided = style_.down == Downsample::stride;
    ValueId value = conv(name, src, channels, kernel, strided ? 2 : 1);
    if (!strided) value = pool(name, value);
    return activate(name, normalize(name, value));
  }

  ValueId pool(const std::string& name, ValueId src) {
    return b_.add(style_.down == Downsample::max ? "MaxPool" : "AveragePool", {src},
                  {{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}}, name + "/pool");
  }

  ValueId upsample(const std::string& name, ValueId src) {
    // For a factor of two, nearest neighbour is the same under every coordinate rule; this is how PyTorch writes it.
    const bool bilinear = style_.upsample == Upsample::bilinear;
    Attrs attrs{{"mode", bilinear ? "linear" : "nearest"},
                {"coordinate_transformation_mode", bilinear ? "half_pixel" : "asymmetric"},
                {"scales", Floats{1, 1, 2, 2}}};
    if (!bilinear) attrs.set("nearest_mode", "floor");
    return b_.add("Resize", {src}, std::move(attrs), name + "/upsample");
  }

  // What comes from below first, the skip behind it. The authors put the skip first; the two differ by a
  // permutation of the next layer's parameters only, but this order keeps the wide part at a channel offset of 0 and
  // the few skip channels at a multiple of 16, where blocked layouts let both branches write into the result directly.
  ValueId concat(const std::string& name, ValueId deeper, ValueId skip) {
    return b_.add("Concat", {deeper, skip}, {{"axis", int64_t{1}}}, name + "/concat");
  }

  void output(ValueId src, int64_t channels, bool sigmoid) {
    ValueId image = conv("out", src, channels, 1);
    if (sigmoid) image = b_.add("Sigmoid", {image}, {}, "out/sigmoid");
    b_.graph().value(image).name = "image";
    b_.graph().outputs = {image};
  }

 private:
  GraphBuilder b_;
  Style style_;
};

void check_channels(std::string_view what, const std::vector<int64_t>& channels, int64_t least) {
  for (const int64_t count : channels) {
    if (count < least || count > 65536) fail("{}: {} is not a number of channels ({} to 65536)", what, count, least);
  }
}

void check_filter(std::string_view what, int64_t size) {
  if (size < 1 || size % 2 == 0) fail("{} is {}, it must be odd: 1, 3, 5, ...", what, size);
}

// Halvings are limited so that 2^scales stays a size that an image can have.
constexpr std::size_t kMostScales = 12;

void check_scales(const std::vector<int64_t>& channels) {
  if (channels.empty() || channels.size() > kMostScales) {
    fail("channels: {} scales given, between 1 and {} are possible", channels.size(), kMostScales);
  }
}

// At the deepest scale, `multiple` times smaller than the image, a convolution with `filter` must find what it pads
// with.
void check_size(int64_t height, int64_t width, int64_t multiple, int64_t filter, Padding padding) {
  if (height < 1 || width < 1 || height % multiple != 0 || width % multiple != 0) {
    fail("size {}x{}: this topology needs multiples of {} both ways; pad the image to that", width, height, multiple);
  }
  // A reflection reads `pad` elements beside the border one.
  const int64_t least = padding == Padding::reflect ? (filter - 1) / 2 + 1 : 1;
  if (std::min(height, width) / multiple < least) {
    fail(
        "size {}x{}: the deepest scale would be smaller than the reflection of its border needs; the least size is "
        "{}x{} (or use zero padding)",
        width, height, multiple * least, multiple * least);
  }
}

void check(const SkipOptions& o) {
  check_scales(o.channels);
  if (!o.up_channels.empty() && o.up_channels.size() != o.channels.size()) {
    fail("up_channels has {} entries, channels has {}: one per scale is expected", o.up_channels.size(),
         o.channels.size());
  }
  if (o.skips.size() != o.channels.size()) {
    fail("skips has {} entries, channels has {}: one per scale is expected (0 for no skip)", o.skips.size(),
         o.channels.size());
  }
  check_channels("channels", o.channels, 1);
  check_channels("up_channels", o.up_channels, 1);
  check_channels("skips", o.skips, 0);
  check_channels("input_depth", {o.input_depth}, 1);
  check_channels("output_channels", {o.output_channels}, 1);
  check_filter("filter_down", o.filter_down);
  check_filter("filter_up", o.filter_up);
  check_filter("filter_skip", o.filter_skip);
}

void check(const UnetOptions& o) {
  check_scales(o.channels);
  check_channels("channels", o.channels, 1);
  check_channels("input_depth", {o.input_depth}, 1);
  check_channels("output_channels", {o.output_channels}, 1);
  check_filter("filter", o.filter);
}

}  // namespace

int64_t size_multiple(const SkipOptions& options) { return int64_t{1} << options.channels.size(); }
int64_t size_multiple(const UnetOptions& options) { return int64_t{1} << (options.channels.size() - 1); }

Graph make_skip(const SkipOptions& o, int64_t height, int64_t width) {
  check(o);
  check_size(height, width, size_multiple(o), o.filter_down, o.padding);
  const std::vector<int64_t>& up_channels = o.up_channels.empty() ? o.channels : o.up_channels;
  Graph graph;
  graph.name = "skip";
  Layers layers(graph, {o.upsample, o.down, o.activation, o.padding});
  const auto at = [](std::size_t scale) { return fmt::format("s{}", scale); };

  ValueId x = layers.input(o.input_depth, height, width);
  std::vector<ValueId> skips;
  for (std::size_t i = 0; i < o.channels.size(); ++i) {
    skips.push_back(o.skips[i] > 0 ? layers.block(at(i) + "/skip", x, o.skips[i], o.filter_skip) : kNoValue);
    x = layers.block_down(at(i) + "/down1", x, o.channels[i], o.filter_down);
    x = layers.block(at(i) + "/down2", x, o.channels[i], o.filter_down);
  }
  for (std::size_t i = o.channels.size(); i-- > 0;) {
    x = layers.upsample(at(i), x);
    if (skips[i].valid()) x = layers.concat(at(i), x, skips[i]);
    x = layers.normalize(at(i) + "/merge", x);
    x = layers.block(at(i) + "/up", x, up_channels[i], o.filter_up);
    if (o.extra_1x1_up) x = layers.block(at(i) + "/up1x1", x, up_channels[i], 1);
  }
  layers.output(x, o.output_channels, o.sigmoid);
  return graph;
}

Graph make_unet(const UnetOptions& o, int64_t height, int64_t width) {
  check(o);
  check_size(height, width, size_multiple(o), o.filter, o.padding);
  Graph graph;
  graph.name = "unet";
  Layers layers(graph, {o.upsample, o.down, o.activation, o.padding});
  const auto at = [](std::string_view side, std::size_t scale) { return fmt::format("{}{}", side, scale); };

  ValueId x = layers.input(o.input_depth, height, width);
  std::vector<ValueId> encoded;
  for (std::size_t i = 0; i < o.channels.size(); ++i) {
    const std::string name = at("encode", i);
    const bool strided = i > 0 && o.down == Downsample::stride;
    if (i > 0 && !strided) x = layers.pool(name, x);
    x = strided ? layers.block_down(name + "/a", x, o.channels[i], o.filter)
                : layers.block(name + "/a", x, o.channels[i], o.filter);
    x = layers.block(name + "/b", x, o.channels[i], o.filter);
    encoded.push_back(x);
  }
  for (std::size_t i = o.channels.size() - 1; i-- > 0;) {
    const std::string name = at("decode", i);
    x = layers.concat(name, layers.upsample(name, x), encoded[i]);
    x = layers.block(name + "/a", x, o.channels[i], o.filter);
    x = layers.block(name + "/b", x, o.channels[i], o.filter);
  }
  layers.output(x, o.output_channels, o.sigmoid);
  return graph;
}

}  // namespace hourglass
