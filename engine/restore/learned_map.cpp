#include "engine/restore/learned_map.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/restore/round_up.h"
#include "engine/restore/ycbcr.h"
#include "engine/runtime/compile.h"
#include "graph/error.h"
#include "graph/op.h"

namespace hourglass {
namespace {

constexpr int64_t kPhaseChannels = 8;

float phase(int64_t at, int64_t period, bool sine) {
  const double angle = 2 * std::numbers::pi * static_cast<double>(at % period) / static_cast<double>(period);
  return static_cast<float>(sine ? std::sin(angle) : std::cos(angle));
}

// The border repeated up to that size.
Plane fill_up(const Plane& plane, int64_t height, int64_t width) {
  if (plane.height == height && plane.width == width) return plane;
  Plane result(width, height);
  for (int64_t y = 0; y < height; ++y) {
    const float* from = plane.row(std::min(y, plane.height - 1));
    std::copy_n(from, plane.width, result.row(y));
    std::fill_n(result.row(y) + plane.width, width - plane.width, from[plane.width - 1]);
  }
  return result;
}

std::vector<Plane> window_of(const std::vector<Plane>& planes, int64_t y0, int64_t x0, int64_t height, int64_t width) {
  std::vector<Plane> result;
  for (const Plane& plane : planes) {
    Plane window(width, height);
    for (int64_t y = 0; y < height; ++y) std::copy_n(plane.row(y0 + y) + x0, width, window.row(y));
    result.push_back(std::move(window));
  }
  return result;
}

// A tile of a line: it begins at `first`, and gives the pixels [from, to).
struct Span {
  int64_t first = 0, from = 0, to = 0;
};

// Tiles of `tile` pixels that cover `length`; inside, a pixel is at least `margin` from its tile's ends.
std::vector<Span> spans(int64_t length, int64_t tile, int64_t margin) {
  std::vector<Span> result;
  for (int64_t from = 0; from < length;) {
    const int64_t first = std::min(std::max<int64_t>(from - margin, 0), length - tile);
    const int64_t to = first + tile == length ? length : first + tile - margin;
    result.push_back({.first = first, .from = from, .to = to});
    from = to;
  }
  return result;
}

// What sides must be multiples of: kMapMultiple, or as many times that as a network wants that halves more often.
int64_t multiple_of(const NetworkFactory& make) {
  constexpr int64_t kOdd = 9, kMost = 128;
  for (int64_t multiple = kMapMultiple;; multiple *= 2) {
    try {
      make(kOdd * multiple, kOdd * multiple);
      return multiple;
    } catch (const Error&) {
      if (multiple == kMost) throw;
    }
  }
}

// Adds scale times the planes of `image`, whose rows or columns are in reverse order.
void add_mirrored(const float* image, bool rows, bool columns, float scale, std::vector<Plane>& sum) {
  for (Plane& plane : sum) {
    for (int64_t y = 0; y < plane.height; ++y) {
      float* to = plane.row(rows ? plane.height - 1 - y : y);
      if (columns) {
        for (int64_t x = 0; x < plane.width; ++x) to[plane.width - 1 - x] += scale * *image++;
      } else {
        for (int64_t x = 0; x < plane.width; ++x) to[x] += scale * *image++;
      }
    }
  }
}

// How far a node's window reaches from its position, in taps; negative where the node does not say.
int64_t window_reach(const Node& node, std::size_t axis) {
  const Dims kernel = node.attrs.has("kernel_shape") ? node.attrs.ints("kernel_shape") : Dims{};
  const Dims pads = node.attrs.has("pads") ? node.attrs.ints("pads") : Dims{};
  const Dims dilations = node.attrs.has("dilations") ? node.attrs.ints("dilations") : Dims{};
  if (kernel.size() != 2) return -1;
  const int64_t last = (kernel[axis] - 1) * (dilations.size() == 2 ? dilations[axis] : 1);
  const int64_t before = pads.size() == 4 ? pads[axis] : 0;
  return std::max(std::abs(before), std::abs(last - before));
}

}  // namespace

std::vector<Plane> mirrored(const std::vector<Plane>& planes, bool rows, bool columns) {
  std::vector<Plane> result = planes;
  for (Plane& plane : result) {
    for (int64_t y = 0; columns && y < plane.height; ++y) std::reverse(plane.row(y), plane.row(y) + plane.width);
    for (int64_t y = 0; rows && y < plane.height / 2; ++y) {
      std::swap_ranges(plane.row(y), plane.row(y) + plane.width, plane.row(plane.height - 1 - y));
    }
  }
  return result;
}

std::vector<Plane> transposed(const std::vector<Plane>& planes) {
  std::vector<Plane> result;
  for (const Plane& plane : planes) {
    Plane turned(plane.height, plane.width);
    for (int64_t y = 0; y < plane.height; ++y) {
      const float* from = plane.row(y);
      for (int64_t x = 0; x < plane.width; ++x) turned.row(x)[y] = from[x];
    }
    result.push_back(std::move(turned));
  }
  return result;
}

int64_t map_input_depth(int64_t channels) { return 2 * channels + kPhaseChannels + 2; }
int64_t map_noise_channel(int64_t channels) { return map_input_depth(channels) - 1; }

void write_map_input(const std::vector<Plane>& degraded, const std::vector<Plane>& filtered,
                     const MapConditions& conditions, int64_t channels, std::span<float> z) {
  const int64_t height = degraded.at(0).height, width = degraded[0].width, depth = map_input_depth(channels);
  if (static_cast<int64_t>(z.size()) != depth * height * width) {
    fail("a map's input of {} channels and {}x{} pixels was to be written to {} values", depth, width, height,
         z.size());
  }
  const auto noise = static_cast<float>(conditions.noise);
  float* to = z.data();
  const auto write = [&](const auto& sample) {
    for (std::size_t p = 0; p < static_cast<std::size_t>(channels); ++p) {
      for (std::size_t i = 0; i < degraded[0].samples.size(); ++i) *to++ = p < degraded.size() ? sample(p, i) : 0;
    }
  };
  write([&](std::size_t p, std::size_t i) { return filtered[p].samples[i] / kMapScale; });
  write([&](std::size_t p, std::size_t i) { return (degraded[p].samples[i] - filtered[p].samples[i]) / noise; });
  std::vector<float> line(static_cast<std::size_t>(width));
  if (!conditions.blocks) to = std::fill_n(to, kPhaseChannels * height * width, 0.0F);
  for (const int64_t period : {8, 16}) {
    if (!conditions.blocks) break;
    for (const bool sine : {false, true}) {
      for (int64_t y = 0; y < height; ++y) to = std::fill_n(to, width, phase(y, period, sine));
    }
    for (const bool sine : {false, true}) {
      for (int64_t x = 0; x < width; ++x) line[static_cast<std::size_t>(x)] = phase(x, period, sine);
      for (int64_t y = 0; y < height; ++y) to = std::copy(line.begin(), line.end(), to);
    }
  }
  to = std::fill_n(to, height * width, static_cast<float>(std::log2(conditions.strength) / 4 - 1));
  std::fill_n(to, height * width, noise / kMapScale);
}

NetworkFactory as_map(NetworkFactory make, const OpTable& table, PlaneColors colors) {
  return [make = std::move(make), &table, colors](int64_t height, int64_t width) {
    Graph network = make(height, width);
    if (network.inputs.size() != 1 || network.outputs.size() != 1) return network;
    const Shape image = network.shape(network.inputs[0]);
    if (network.shape(network.outputs[0]) != image || image.rank() != 4 || (image[1] != 1 && image[1] != 3)) {
      return network;
    }
    Graph map;
    map.name = network.name;
    GraphBuilder builder(map, table);
    const auto with = [&](const char* op, ValueId value, double number) {
      return builder.add(op, {value, builder.constant(HostTensor::scalar(DType::f32, number), "map/number")}, {},
                         "map");
    };
    const bool converts = image[1] == 3 && colors == PlaneColors::ycbcr;
    const auto converted = [&](ValueId planes, const std::array<double, 9>& matrix) {
      if (!converts) return planes;
      const ValueId filters =
          builder.constant({DType::f32, {3, 3, 1, 1}, {matrix.begin(), matrix.end()}}, "map/matrix");
      return builder.add("Conv", {planes, filters}, {{"kernel_shape", Dims{1, 1}}}, "map/colors");
    };
    constexpr double kMiddle = kMiddleLevel / kGreyLevels, kScale = kGreyLevels / kMapScale;
    const ValueId z = builder.input("z", {DType::f32, {1, map_input_depth(image[1]), height, width}});
    const ValueId filtered =
        builder.add("Slice", {z}, {{"starts", Dims{0}}, {"ends", Dims{image[1]}}, {"axes", Dims{1}}}, "map/filtered");
    const ValueId colored = converted(filtered, kRgbFromYcbcr);
    const ValueId made = builder.append(network, with("Add", with("Div", colored, kScale), kMiddle));
    map.outputs = {with("Mul", converted(with("Sub", made, kMiddle), kYcbcrFromRgb), kScale)};
    return map;
  };
}

int64_t reach_of(const Graph& graph) {
  // For each value that is computed from z, how many pixels of z one of its own spans, and how far it reaches beyond
  // them. The others span none.
  struct Footprint {
    double pixel = 0, reach = 0;
  };
  std::vector<Footprint> footprints(graph.values.size());
  const auto of = [&](ValueId id) -> Footprint& { return footprints[static_cast<std::size_t>(id.index)]; };
  const ValueId input = graph.inputs.at(0);
  const auto height_of = [&](ValueId id) { return graph.shape(id).rank() == 4 ? graph.shape(id)[2] : int64_t{0}; };
  const auto pixel_of = [&](ValueId id) {
    return static_cast<double>(height_of(input)) / static_cast<double>(std::max<int64_t>(height_of(id), 1));
  };
  of(input) = {.pixel = 1, .reach = 0};
  double farthest = 0;
  for (const Node& node : graph.nodes) {
    Footprint made;
    for (const ValueId id : node.inputs) {
      if (!id.valid()) continue;
      made.reach = std::max(made.reach, of(id).reach);
      made.pixel = std::max(made.pixel, of(id).pixel);
    }
    if (made.pixel == 0) continue;
    const std::string_view op = node.op->name;
    const bool smaller = op == "Conv" || op == "AveragePool" || op == "MaxPool";
    const bool larger = op == "ConvGradSrc" || op == "ConvTranspose";
    if (smaller || larger) {
      const int64_t v = window_reach(node, 0), h = window_reach(node, 1);
      if (v < 0 || h < 0) return -1;
      // The taps of a transposed convolution are pixels of its result.
      const double tap = larger ? pixel_of(node.outputs[0]) : made.pixel;
      made.reach += tap * static_cast<double>(std::max(v, h)) + (larger ? made.pixel : 0);
    } else if (op == "Resize") {
      made.reach += made.pixel;
    } else if (op != "LeakyRelu" && op != "Relu" && op != "Elu" && op != "Sigmoid" && op != "Concat" && op != "Add" &&
               op != "Sub" && op != "Mul" && op != "Div" && op != "Slice") {
      return -1;
    }
    for (const ValueId id : node.outputs) {
      if (height_of(id) == 0) return -1;
      made.pixel = pixel_of(id);
      of(id) = made;
    }
    farthest = std::max(farthest, made.reach);
  }
  return static_cast<int64_t>(std::ceil(farthest));
}

MapValues map_values(const Graph& graph, int64_t height, int64_t width) {
  if (graph.inputs.size() != 1 || graph.outputs.size() != 1) {
    fail("the network must have one input and one output, it has {} and {}", graph.inputs.size(), graph.outputs.size());
  }
  const Shape& made = graph.shape(graph.outputs[0]);
  const int64_t channels = made.rank() == 4 && made[1] == 1 ? 1 : 3;
  const MapValues values{.input = graph.inputs[0], .image = graph.outputs[0], .channels = channels};
  const Shape input{1, map_input_depth(channels), height, width}, image{1, channels, height, width};
  if (graph.shape(values.input) != input || made != image) {
    fail("the network makes {} of {}; to be taught in a lesson it must make {} of {}, or of an image of that size",
         graph.shape(values.image), graph.shape(values.input), image, input);
  }
  return values;
}

LearnedMap::LearnedMap(NetworkFactory make, const OpTable& table, std::vector<std::vector<float>> weights,
                       const MapOptions& options)
    : make_(std::move(make)), table_(&table), weights_(std::move(weights)), options_(options) {}

std::vector<Plane> LearnedMap::apply(const std::vector<Plane>& degraded, const std::vector<Plane>& filtered,
                                     const MapConditions& conditions, const Advance& advance) const {
  if (!options_.symmetries || !conditions.transposes) return apply_upright(degraded, filtered, conditions, advance);
  bool ended = false;
  const auto half = [&](double from) {
    return [&advance, &ended, from](double done) {
      ended = ended || (advance && !advance(from + done / 2));
      return !ended;
    };
  };
  std::vector<Plane> result = apply_upright(degraded, filtered, conditions, half(0));
  if (ended) return result;
  const std::vector<Plane> turned =
      transposed(apply_upright(transposed(degraded), transposed(filtered), conditions, half(0.5)));
  // A part of the picture in eight ways and the rest in four would leave a seam.
  if (ended) return result;
  for (std::size_t p = 0; p < result.size(); ++p) {
    std::transform(result[p].samples.begin(), result[p].samples.end(), turned[p].samples.begin(),
                   result[p].samples.begin(), [](float a, float b) { return (a + b) / 2; });
  }
  return result;
}

LearnedMap::Tiling LearnedMap::tiling_of(int64_t height, int64_t width) const {
  const int64_t multiple = multiple_of(make_), tile = round_up(options_.tile, multiple);
  Tiling result{.height = round_up(height, multiple), .width = round_up(width, multiple)};
  const int64_t reach = reach_of(make_(std::min(result.height, tile), std::min(result.width, tile)));
  result.margin = round_up(std::max<int64_t>(reach, 0), multiple);
  // A tile must give something besides its margins.
  const int64_t side = reach < 0 ? std::max(result.height, result.width) : std::max(tile, 2 * result.margin + multiple);
  result.rows = std::min(result.height, side);
  result.columns = std::min(result.width, side);
  return result;
}

std::size_t LearnedMap::planned_bytes(int64_t height, int64_t width) const {
  const Tiling tiling = tiling_of(height, width);
  Graph graph = make_(tiling.rows, tiling.columns);
  const MapValues values = map_values(graph, tiling.rows, tiling.columns);
  const int64_t input = map_input_depth(values.channels) * tiling.rows * tiling.columns;
  const CompiledInference compiled = compile_inference(
      std::move(graph), *table_, {.precision = options_.precision, .threads = options_.threads, .allocate = false});
  return compiled.plan.arena_bytes() + compiled.plan.persistent_bytes() +
         static_cast<std::size_t>(input) * sizeof(float);
}

std::vector<Plane> LearnedMap::apply_upright(const std::vector<Plane>& degraded, const std::vector<Plane>& filtered,
                                             const MapConditions& conditions, const Advance& advance) const {
  const Tiling tiling = tiling_of(degraded.at(0).height, degraded[0].width);
  const int64_t rows = tiling.rows, columns = tiling.columns;
  const auto filled = [&](const std::vector<Plane>& planes) {
    std::vector<Plane> result;
    for (const Plane& plane : planes) result.push_back(fill_up(plane, tiling.height, tiling.width));
    return result;
  };
  const std::vector<Plane> all_degraded = filled(degraded), all_filtered = filled(filtered);

  Graph graph = make_(rows, columns);
  const MapValues values = map_values(graph, rows, columns);
  const ValueId input = values.input;
  const int64_t channels = values.channels;
  const std::vector<ValueId> parameters = graph.parameters();
  if (!weights_.empty() && weights_.size() != parameters.size()) {
    fail("{} sets of weights were given for a network with {}", weights_.size(), parameters.size());
  }
  CompiledInference compiled =
      compile_inference(graph, *table_, {.precision = options_.precision, .threads = options_.threads});
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Value& value = graph.value(parameters[i]);
    if (weights_.empty() && !value.data) fail("the network's parameter {} has no values yet", value.name);
    std::vector<float> values =
        weights_.empty() ? std::vector<float>(value.data->values.begin(), value.data->values.end()) : weights_[i];
    if (static_cast<int64_t>(values.size()) != value.type.shape.elements()) {
      fail("{} values were given for the parameter {} of {}", values.size(), value.name, value.type.shape);
    }
    compiled.plan.write(parameters[i], values);
  }

  std::vector<Plane> result = filtered;
  const std::size_t count = std::min(result.size(), static_cast<std::size_t>(channels));
  std::vector<float> z(static_cast<std::size_t>(map_input_depth(channels) * rows * columns));
  // Mirrored, a tile of whole blocks is the one that would have come of the mirrored picture.
  const std::vector<bool> flips = options_.symmetries ? std::vector{false, true} : std::vector{false};
  const float scale = kMapScale / static_cast<float>(flips.size() * flips.size());
  const std::vector<Span> down = spans(tiling.height, rows, tiling.margin),
                          across = spans(tiling.width, columns, tiling.margin);
  const auto tiles = static_cast<double>(down.size() * across.size());
  double done = 0;
  for (const Span& v : down) {
    for (const Span& h : across) {
      const std::vector<Plane> tile_degraded = window_of(all_degraded, v.first, h.first, rows, columns);
      const std::vector<Plane> tile_filtered = window_of(all_filtered, v.first, h.first, rows, columns);
      std::vector<Plane> made(count, Plane(columns, rows));
      for (const bool flip_rows : flips) {
        for (const bool flip_columns : flips) {
          write_map_input(mirrored(tile_degraded, flip_rows, flip_columns),
                          mirrored(tile_filtered, flip_rows, flip_columns), conditions, channels, z);
          compiled.plan.write(input, z);
          compiled.plan.run();
          add_mirrored(compiled.plan.output(compiled.image), flip_rows, flip_columns, scale, made);
        }
      }
      for (std::size_t p = 0; p < count; ++p) {
        const int64_t to_x = std::min(h.to, result[p].width);
        for (int64_t y = v.from; h.from < to_x && y < std::min(v.to, result[p].height); ++y) {
          std::copy_n(made[p].row(y - v.first) + (h.from - h.first), to_x - h.from, result[p].row(y) + h.from);
        }
      }
      if (advance && !advance(++done / tiles)) return result;
    }
  }
  return result;
}

}  // namespace hourglass
