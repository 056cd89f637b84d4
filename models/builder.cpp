#include "models/builder.h"

#include "graph/error.h"
#include "models/layers.h"

namespace hourglass {
namespace {

using namespace models;

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
  models::Layers layers(graph, {o.upsample, o.down, o.activation, o.padding});
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
  models::Layers layers(graph, {o.upsample, o.down, o.activation, o.padding});
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
