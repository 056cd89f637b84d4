#include "models/layers.h"

#include "graph/error.h"

namespace hourglass {

int64_t size_multiple(const ResnetOptions&) { return 1; }

Graph make_resnet(const ResnetOptions& o, int64_t height, int64_t width) {
  constexpr int64_t kMostBlocks = 256;
  models::check_channels("channels", {o.channels}, 1);
  models::check_channels("input_depth", {o.input_depth}, 1);
  models::check_channels("output_channels", {o.output_channels}, 1);
  models::check_filter("filter", o.filter);
  if (o.blocks < 1 || o.blocks > kMostBlocks) fail("blocks is {}, it must be 1 to {}", o.blocks, kMostBlocks);
  models::check_size(height, width, 1, o.filter, o.padding);
  Graph graph;
  graph.name = "resnet";
  models::Layers layers(graph, {.activation = o.activation, .padding = o.padding});
  ValueId x = layers.input(o.input_depth, height, width);
  x = layers.activate("in", layers.conv("in", x, o.channels, o.filter));
  for (int64_t i = 0; i < o.blocks; ++i) {
    const std::string name = fmt::format("block{}", i);
    const ValueId inner = layers.block(name + "/a", x, o.channels, o.filter);
    const ValueId residual = layers.normalize(name + "/b", layers.conv(name + "/b", inner, o.channels, o.filter));
    x = layers.add(name, x, residual);
  }
  layers.output(x, o.output_channels, o.sigmoid);
  return graph;
}

}  // namespace hourglass
