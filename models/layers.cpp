#include "models/layers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::models {

Layers::Layers(Graph& graph, const Style& style) : b_(graph, op_table()), style_(style) {}

ValueId Layers::input(int64_t depth, int64_t height, int64_t width) {
  return b_.input("z", {DType::f32, Shape{1, depth, height, width}});
}

ValueId Layers::conv(const std::string& name, ValueId src, int64_t channels, int64_t kernel, int64_t stride) {
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

ValueId Layers::normalize(const std::string& name, ValueId src) {
  const std::string node = name + "/bn";
  const TensorType type{DType::f32, Shape{b_.graph().shape(src)[1]}};
  const ValueId scale = b_.parameter(node + ".scale", type, {.kind = Init::Kind::uniform, .low = 1, .high = 1});
  const ValueId bias = b_.parameter(node + ".bias", type, {.kind = Init::Kind::uniform, .low = 0, .high = 0});
  return b_.add("BatchNormalization", {src, scale, bias}, {{"epsilon", 1e-5}, {"training_mode", int64_t{1}}}, node);
}

ValueId Layers::activate(const std::string& name, ValueId src) {
  const std::string node = name + "/act";
  switch (style_.activation) {
    case Activation::leaky_relu: return b_.add("LeakyRelu", {src}, {{"alpha", 0.2}}, node);
    case Activation::swish: return b_.add("Mul", {src, b_.add("Sigmoid", {src}, {}, node + "/sigmoid")}, {}, node);
    case Activation::elu: return b_.add("Elu", {src}, {{"alpha", 1.0}}, node);
    case Activation::relu: return b_.add("Relu", {src}, {}, node);
  }
  return src;
}

ValueId Layers::block(const std::string& name, ValueId src, int64_t channels, int64_t kernel) {
  return activate(name, normalize(name, conv(name, src, channels, kernel)));
}

ValueId Layers::block_down(const std::string& name, ValueId src, int64_t channels, int64_t kernel) {
  const bool strided = style_.down == Downsample::stride;
  ValueId value = conv(name, src, channels, kernel, strided ? 2 : 1);
  if (!strided) value = pool(name, value);
  return activate(name, normalize(name, value));
}

ValueId Layers::pool(const std::string& name, ValueId src) {
  if (style_.down == Downsample::lanczos) return lanczos(name, src);
  return b_.add(style_.down == Downsample::max ? "MaxPool" : "AveragePool", {src},
                {{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}}, name + "/pool");
}

ValueId Layers::upsample(const std::string& name, ValueId src) {
  if (style_.upsample == Upsample::transposed) return transposed(name, src);
  // For a factor of two, nearest neighbour is the same under every coordinate rule; this is how PyTorch writes it.
  const bool bilinear = style_.upsample == Upsample::bilinear;
  Attrs attrs{{"mode", bilinear ? "linear" : "nearest"},
              {"coordinate_transformation_mode", bilinear ? "half_pixel" : "asymmetric"},
              {"scales", Floats{1, 1, 2, 2}}};
  if (!bilinear) attrs.set("nearest_mode", "floor");
  return b_.add("Resize", {src}, std::move(attrs), name + "/upsample");
}

ValueId Layers::concat(const std::string& name, ValueId deeper, ValueId skip) {
  return b_.add("Concat", {deeper, skip}, {{"axis", int64_t{1}}}, name + "/concat");
}

void Layers::output(ValueId src, int64_t channels, bool sigmoid) {
  ValueId image = conv("out", src, channels, 1);
  if (sigmoid) image = b_.add("Sigmoid", {image}, {}, "out/sigmoid");
  b_.graph().value(image).name = "image";
  b_.graph().outputs = {image};
}

ValueId Layers::average(const std::string& name, ValueId src, int64_t side) {
  return b_.add("AveragePool", {src}, {{"kernel_shape", Dims{side, side}}, {"strides", Dims{side, side}}},
                name + "/average");
}

ValueId Layers::add(const std::string& name, ValueId a, ValueId b) { return b_.add("Add", {a, b}, {}, name + "/add"); }

// Lanczos' kernel with two lobes, for a factor of two: 8 taps at odd quarters, each channel for itself. The border is
// repeated. A constant, so it is not trained.
ValueId Layers::lanczos(const std::string& name, ValueId src) {
  constexpr int64_t kTaps = 8;
  std::vector<double> taps;
  double sum = 0;
  for (int64_t i = 0; i < kTaps; ++i) {
    const double x = std::numbers::pi * (static_cast<double>(i) - 3.5) / 2;
    taps.push_back(std::sin(x) * std::sin(x / 2) / (x * x / 2));
    sum += taps.back();
  }
  const int64_t channels = b_.graph().shape(src)[1];
  HostTensor filter(DType::f32, Shape{channels, 1, kTaps, kTaps});
  for (int64_t i = 0; i < filter.shape.elements(); ++i) {
    const double weight = taps[static_cast<std::size_t>(i / kTaps % kTaps)] * taps[static_cast<std::size_t>(i % kTaps)];
    filter.values[static_cast<std::size_t>(i)] = weight / (sum * sum);
  }
  const ValueId padded =
      b_.add("Pad", {src}, {{"mode", "edge"}, {"pads", Dims{0, 0, 3, 3, 0, 0, 3, 3}}}, name + "/lanczos/pad");
  return b_.add("Conv", {padded, b_.constant(std::move(filter), name + "/lanczos/filter")},
                {{"kernel_shape", Dims{kTaps, kTaps}}, {"strides", Dims{2, 2}}, {"group", channels}},
                name + "/lanczos");
}

// Doubles exactly: (n - 1) * 2 + 4 - 2 = 2n.
ValueId Layers::transposed(const std::string& name, ValueId src) {
  const int64_t channels = b_.graph().shape(src)[1];
  const std::string node = name + "/upsample";
  const double bound = 1 / std::sqrt(static_cast<double>(channels * 4 * 4));
  const Init init{.kind = Init::Kind::uniform, .low = -bound, .high = bound};
  const ValueId weight = b_.parameter(node + ".weight", {DType::f32, Shape{channels, channels, 4, 4}}, init);
  const ValueId bias = b_.parameter(node + ".bias", {DType::f32, Shape{channels}}, init);
  return b_.add("ConvTranspose", {src, weight, bias},
                {{"kernel_shape", Dims{4, 4}}, {"pads", Dims{1, 1, 1, 1}}, {"strides", Dims{2, 2}}}, node);
}

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

}  // namespace hourglass::models
