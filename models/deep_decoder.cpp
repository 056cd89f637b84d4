#include "models/layers.h"

namespace hourglass {

int64_t size_multiple(const DeepDecoderOptions& options) { return int64_t{1} << options.channels.size(); }

Graph make_deep_decoder(const DeepDecoderOptions& o, int64_t height, int64_t width) {
  models::check_scales(o.channels);
  models::check_channels("channels", o.channels, 1);
  models::check_channels("input_depth", {o.input_depth}, 1);
  models::check_channels("output_channels", {o.output_channels}, 1);
  models::check_size(height, width, size_multiple(o), 1, Padding::zero);
  Graph graph;
  graph.name = "deep_decoder";
  models::Layers layers(graph, {.upsample = o.upsample, .activation = o.activation});
  ValueId x = layers.average("in", layers.input(o.input_depth, height, width), size_multiple(o));
  for (std::size_t i = 0; i < o.channels.size(); ++i) {
    // The authors' order: normalised last.
    const std::string name = fmt::format("s{}", i);
    x = layers.upsample(name, layers.conv(name, x, o.channels[i], 1));
    x = layers.normalize(name, layers.activate(name, x));
  }
  layers.output(x, o.output_channels, o.sigmoid);
  return graph;
}

}  // namespace hourglass
