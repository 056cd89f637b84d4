#include <cmath>

#include "graph/error.h"
#include "models/layers.h"
#include "ops/table.h"

namespace hourglass {
namespace {

constexpr double kSlope = 0.1;  // of the LeakyRelu

// Adds layers without normalisation. Weights start uniform in +-sqrt(6 / ((1 + slope^2) fan in)), which keeps the
// variance from layer to layer (He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015), biases at zero.
class PlainLayers {
 public:
  explicit PlainLayers(Graph& graph) : b_(graph, op_table()) {}

  ValueId conv(const std::string& name, ValueId src, int64_t channels, int64_t kernel, int64_t stride = 1,
               double factor = 1) {
    const int64_t src_channels = b_.graph().shape(src)[1], pad = (kernel - stride) / 2;
    const auto [weight, bias] = parameters(name, Shape{channels, src_channels, kernel, kernel},
                                           src_channels * kernel * kernel, channels, factor);
    return b_.add(
        "Conv", {src, weight, bias},
        {{"kernel_shape", Dims{kernel, kernel}}, {"pads", Dims{pad, pad, pad, pad}}, {"strides", Dims{stride, stride}}},
        name + "/conv");
  }
  // Doubles the size: each pixel becomes 2x2.
  ValueId enlarge(const std::string& name, ValueId src, int64_t channels) {
    const int64_t src_channels = b_.graph().shape(src)[1];
    const auto [weight, bias] =
        parameters(name, Shape{src_channels, channels, 2, 2}, src_channels, channels, /*factor=*/1);
    return b_.add("ConvTranspose", {src, weight, bias}, {{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}},
                  name + "/conv");
  }
  ValueId block(const std::string& name, ValueId src, int64_t channels, int64_t convolutions) {
    for (int64_t i = 0; i < convolutions; ++i) {
      const std::string layer = fmt::format("{}/{}", name, static_cast<char>('a' + i));
      src = b_.add("LeakyRelu", {conv(layer, src, channels, 3)}, {{"alpha", kSlope}}, layer + "/act");
    }
    return src;
  }
  [[nodiscard]] GraphBuilder& builder() { return b_; }

 private:
  std::pair<ValueId, ValueId> parameters(const std::string& name, const Shape& shape, int64_t fan_in, int64_t channels,
                                         double factor) {
    const double bound = factor * std::sqrt(6 / ((1 + kSlope * kSlope) * static_cast<double>(fan_in)));
    const std::string node = name + "/conv";
    return {b_.parameter(node + ".weight", {DType::f32, shape},
                         {.kind = Init::Kind::uniform, .low = -bound, .high = bound}),
            b_.parameter(node + ".bias", {DType::f32, Shape{channels}},
                         {.kind = Init::Kind::uniform, .low = 0, .high = 0})};
  }

  GraphBuilder b_;
};

}  // namespace

int64_t size_multiple(const ResidualUnetOptions& options) { return int64_t{1} << (options.channels.size() - 1); }

Graph make_residual_unet(const ResidualUnetOptions& o, int64_t height, int64_t width) {
  constexpr int64_t kMostConvolutions = 16;
  constexpr double kFirstCorrection = 0.1;  // of the last layer's weights: the network starts near the identity
  models::check_scales(o.channels);
  models::check_channels("channels", o.channels, 1);
  models::check_channels("input_depth", {o.input_depth}, 1);
  models::check_channels("output_channels", {o.output_channels}, 1);
  if (o.convolutions < 1 || o.convolutions > kMostConvolutions) {
    fail("convolutions is {}, it must be 1 to {}", o.convolutions, kMostConvolutions);
  }
  if (o.output_channels >= o.input_depth) {
    fail("{} channels of an input of {} are to be corrected; the last one scales the correction", o.output_channels,
         o.input_depth);
  }
  models::check_size(height, width, size_multiple(o), 3, Padding::zero);
  Graph graph;
  graph.name = "residual_unet";
  PlainLayers layers(graph);
  GraphBuilder& b = layers.builder();
  const ValueId z = b.input("z", {DType::f32, Shape{1, o.input_depth, height, width}});
  const auto at = [](std::string_view side, std::size_t scale) { return fmt::format("{}{}", side, scale); };
  ValueId x = z;
  std::vector<ValueId> encoded;
  for (std::size_t i = 0; i < o.channels.size(); ++i) {
    if (i > 0) x = layers.conv(at("down", i), x, o.channels[i], 2, 2);
    x = layers.block(at("encode", i), x, o.channels[i], o.convolutions);
    encoded.push_back(x);
  }
  for (std::size_t i = o.channels.size() - 1; i-- > 0;) {
    const std::string name = at("decode", i);
    x = layers.enlarge(at("up", i), x, o.channels[i]);
    x = b.add("Concat", {x, encoded[i]}, {{"axis", int64_t{1}}}, name + "/concat");
    x = layers.block(name, x, o.channels[i], o.convolutions);
  }
  const ValueId correction = layers.conv("out", x, o.output_channels, 3, 1, kFirstCorrection);
  const auto channels = [&](const std::string& name, int64_t first, int64_t end) {
    return b.add("Slice", {z}, {{"starts", Dims{first}}, {"ends", Dims{end}}, {"axes", Dims{1}}}, name);
  };
  const ValueId scaled = b.add("Mul", {correction, channels("scale", o.input_depth - 1, o.input_depth)}, {}, "out/mul");
  const ValueId image = b.add("Add", {channels("base", 0, o.output_channels), scaled}, {}, "out/add");
  graph.value(image).name = "image";
  graph.outputs = {image};
  return graph;
}

}  // namespace hourglass
