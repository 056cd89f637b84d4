#include "engine/restore/network.h"

#include <optional>

#include "graph/error.h"

namespace hourglass {
namespace {

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Network bind_network(const NetworkFactory& make, const OpTable& table, int64_t height, int64_t width) {
  std::optional<Error> reason;
  bool same_reason = true;
  for (const int64_t multiple : {1, 2, 4, 8, 16, 32, 64, 128}) {
    Network network;
    network.multiple = multiple;
    network.canvas_height = round_up(height, multiple);
    network.canvas_width = round_up(width, multiple);
    try {
      network.graph = make(network.canvas_height, network.canvas_width);
    } catch (const Error& error) {
      same_reason = same_reason && (!reason || std::string_view(reason->what()) == error.what());
      reason = error;
      continue;
    }
    Graph& graph = network.graph;
    if (graph.inputs.size() != 1 || graph.outputs.size() != 1) {
      fail("the network must have one input and one output, it has {} and {}", graph.inputs.size(),
           graph.outputs.size());
    }
    network.input = graph.inputs[0];
    network.image = graph.outputs[0];
    const Shape shape = graph.shape(network.image);
    if (shape.rank() != 4 || shape[0] != 1) fail("the network's output must be 1xCxHxW, it is {}", shape);
    if (shape[2] != network.canvas_height || shape[3] != network.canvas_width) {
      same_reason = false;
      reason =
          Error(fmt::format("the network makes {}x{} from an input of {}x{}: the output must have the input's size",
                            shape[2], shape[3], network.canvas_height, network.canvas_width));
      continue;
    }
    if (network.canvas_height != height || network.canvas_width != width) {
      GraphBuilder builder(graph, table);
      network.image =
          builder.add("Slice", {network.image},
                      {{"starts", Dims{0, 0}}, {"ends", Dims{height, width}}, {"axes", Dims{2, 3}}}, "crop");
      graph.outputs = {network.image};
    }
    return network;
  }
  // What fails alike on every canvas has nothing to do with the size.
  if (same_reason) throw *reason;
  throw reason->within(fmt::format("no canvas suits this network for an image of {}x{}", width, height));
}

Network bind_network(const NetworkFactory& make, const OpTable& table, const Image& image) {
  Network network = bind_network(make, table, image.height, image.width);
  const int64_t channels = network.graph.shape(network.image)[1];
  if (channels == image.channels) return network;
  if (channels != 3 || image.channels != 1) {
    fail("the network makes {} channel{}, the image has {}: use a network with {} output channels", channels,
         channels == 1 ? "" : "s", image.channels, image.channels);
  }
  GraphBuilder builder(network.graph, table);
  const ValueId luma = builder.constant({DType::f32, Shape{1, 3, 1, 1}, {0.299, 0.587, 0.114}}, "luma");
  network.image = builder.add("Conv", {network.image, luma}, {}, "to_gray");
  network.graph.outputs = {network.image};
  return network;
}

}  // namespace hourglass
