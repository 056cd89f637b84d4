#include "models/layers.h"

#include "graph/error.h"

namespace hourglass {

int64_t size_multiple(const TextureOptions& options) { return int64_t{1} << (options.scales - 1); }

Graph make_texture(const TextureOptions& o, int64_t height, int64_t width) {
  constexpr int64_t kMostScales = 12;
  if (o.scales < 1 || o.scales > kMostScales) fail("scales is {}, it must be 1 to {}", o.scales, kMostScales);
  models::check_channels("channels", {o.channels}, 1);
  models::check_channels("input_depth", {o.input_depth}, 1);
  models::check_channels("output_channels", {o.output_channels}, 1);
  models::check_filter("filter", o.filter);
  models::check_size(height, width, size_multiple(o), o.filter, o.padding);
  Graph graph;
  graph.name = "texture";
  models::Layers layers(graph, {.upsample = o.upsample, .activation = o.activation, .padding = o.padding});
  const auto three = [&](const std::string& name, ValueId x, int64_t channels) {
    x = layers.block(name + "/a", x, channels, o.filter);
    x = layers.block(name + "/b", x, channels, o.filter);
    return layers.block(name + "/c", x, channels, 1);
  };
  const ValueId z = layers.input(o.input_depth, height, width);
  ValueId x = kNoValue;  // from the smaller scales
  for (int64_t i = o.scales; i-- > 0;) {
    const std::string name = fmt::format("s{}", i);
    const ValueId own = three(name + "/z", i > 0 ? layers.average(name, z, int64_t{1} << i) : z, o.channels);
    if (!x.valid()) {
      x = own;
      continue;
    }
    x = layers.normalize(name + "/up", layers.upsample(name, x));
    x = layers.concat(name, x, layers.normalize(name + "/own", own));
    x = three(name + "/joined", x, o.channels * (o.scales - i));
  }
  layers.output(x, o.output_channels, o.sigmoid);
  return graph;
}

}  // namespace hourglass
