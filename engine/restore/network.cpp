#include "engine/restore/network.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "engine/restore/round_up.h"
#include "graph/error.h"
#include "graph/onnx_import.h"

namespace hourglass {
namespace {

struct Sides {
  int64_t height = 0, width = 0;
  auto operator<=>(const Sides&) const = default;
};

std::string to_string(const Sides& sides) { return fmt::format("{}x{}", sides.width, sides.height); }

bool covers(const Sides& sides, const Sides& image) {
  return sides.height >= image.height && sides.width >= image.width;
}

// A side of the output as a function of the input's: scale * side + border.
struct SideRule {
  int64_t scale = 1, border = 0;

  [[nodiscard]] int64_t input_for(int64_t output) const {
    return output <= border ? 1 : divide_up(output - border, scale);
  }
};

// As one pair of sides says it: the scale is the nearest whole one, the border what that leaves. Nothing when the
// output is half the input's size or less.
std::optional<SideRule> side_rule(int64_t input, int64_t output) {
  if (2 * output <= input) return {};
  const int64_t scale = std::max<int64_t>(1, (2 * output + input) / (2 * input));
  return SideRule{.scale = scale, .border = output - scale * input};
}

struct Bound {
  Graph graph;
  Sides input, output;
};

class Search {
 public:
  Search(const NetworkFactory& make, const Sides& image, const FixedSides& fixed)
      : make_(make), image_(image), fixed_(fixed) {}

  // The network for the input that is chosen, and the multiple that its sides are.
  std::pair<Bound, int64_t> run() {
    if (fixed_.height != 0 && fixed_.width != 0) return {of_fixed_size(), 1};
    std::optional<Rule> rule;
    for (const int64_t multiple : kMultiples) {
      std::optional<Bound> bound = attempt(input_for({}, multiple));
      if (!bound) continue;
      if (is_plain(*bound)) return {std::move(*bound), multiple};
      note_mismatch(*bound);
      // On less than the largest multiple, a border, or what is rounded up inside, would look like a scale.
      rule = rule_of(*bound);
      if (rule && rule->height.scale > 1 && std::min(bound->input.height, bound->input.width) >= kMultiples.back()) {
        break;
      }
    }
    const std::optional<Error> reason = reason_;
    // Deep networks pad at their deepest scale, and need some pixels there.
    for (int64_t least = kLeastUnit; !rule && least <= kMostLeast; least += kLeastUnit) {
      const auto at_least = [&](int64_t side) { return std::max(round_up(side, kLeastUnit), least); };
      std::optional<Bound> bound = attempt({at_least(image_.height), at_least(image_.width)});
      if (bound && is_plain(*bound)) return {std::move(*bound), kLeastUnit};
    }
    // What makes an image many times larger may make too much of an input of the image's size.
    if (!rule) {
      if (const std::optional<Bound> small = attempt({kMultiples.back(), kMultiples.back()})) rule = rule_of(*small);
    }
    if (!rule) give_up(*reason);
    last_ = {};  // what was tried to learn the rule may be what suits
    for (const int64_t multiple : kMultiples) {
      std::optional<Bound> bound = attempt(input_for(*rule, multiple));
      if (!bound) continue;
      if (covers(bound->output, image_)) return {std::move(*bound), multiple};
      note_mismatch(*bound);
    }
    give_up(*reason_);
  }

 private:
  static constexpr std::array<int64_t, 8> kMultiples{1, 2, 4, 8, 16, 32, 64, 128};
  static constexpr int64_t kLeastUnit = 64, kMostLeast = 512;

  // How the output's sides follow from the input's.
  struct Rule {
    SideRule height, width;
  };

  static std::optional<Rule> rule_of(const Bound& bound) {
    const std::optional<SideRule> height = side_rule(bound.input.height, bound.output.height);
    const std::optional<SideRule> width = side_rule(bound.input.width, bound.output.width);
    if (!height || !width) return {};
    return Rule{*height, *width};
  }

  [[nodiscard]] Sides input_for(const Rule& rule, int64_t multiple) const {
    return {round_up(rule.height.input_for(image_.height), multiple),
            round_up(rule.width.input_for(image_.width), multiple)};
  }

  [[nodiscard]] bool is_plain(const Bound& bound) const {
    return bound.output == bound.input && covers(bound.output, image_);
  }

  static Bound examined(Graph graph, const Sides& input) {
    if (graph.inputs.size() != 1 || graph.outputs.size() != 1) {
      fail("the network must have one input and one output, it has {} and {}", graph.inputs.size(),
           graph.outputs.size());
    }
    const Shape& shape = graph.shape(graph.outputs[0]);
    if (shape.rank() != 4 || shape[0] != 1) fail("the network's output must be 1xCxHxW, it is {}", shape);
    if (const DType dtype = graph.type(graph.outputs[0]).dtype; dtype != DType::f32) {
      fail("the network's output is {}, expected float: put a Cast to float behind it", dtype);
    }
    const Sides output{shape[2], shape[3]};
    return {.graph = std::move(graph), .input = input, .output = output};
  }

  // Nothing when it fails, or is what was tried last.
  std::optional<Bound> attempt(Sides input) {
    if (fixed_.height != 0) input.height = fixed_.height;
    if (fixed_.width != 0) input.width = fixed_.width;
    if (input == last_) return {};
    last_ = input;
    Graph graph;
    try {
      graph = make_(input.height, input.width);
    } catch (const Error& error) {
      note(error);
      return {};
    }
    return examined(std::move(graph), input);
  }

  void note(const Error& error) {
    same_reason_ = same_reason_ && (!reason_ || std::string_view(reason_->what()) == error.what());
    reason_ = error;
  }

  void note_mismatch(const Bound& bound) {
    note(
        Error(fmt::format("the network makes {} from an input of {}: the output must have the input's size, or a "
                          "multiple of it",
                          to_string(bound.output), to_string(bound.input))));
    same_reason_ = false;
  }

  [[nodiscard]] Bound of_fixed_size() const {
    const Sides input{fixed_.height, fixed_.width};
    Bound bound = examined(make_(input.height, input.width), input);
    if (!covers(bound.output, image_)) {
      fail("the file fixes its input to {}, of which it makes {}, and the image has {}: export it with dynamic axes",
           to_string(bound.input), to_string(bound.output), to_string(image_));
    }
    return bound;
  }

  [[noreturn]] void give_up(const Error& reason) const {
    // What fails alike on every canvas has nothing to do with the size.
    if (same_reason_) throw reason;
    throw reason.within(fmt::format("no canvas suits this network for an image of {}", to_string(image_)));
  }

  const NetworkFactory& make_;
  Sides image_;
  FixedSides fixed_;
  Sides last_;
  std::optional<Error> reason_;
  bool same_reason_ = true;
};

}  // namespace

NetworkFactory network_of(const OnnxFile& file, const OpTable& table, const std::string& output,
                          std::vector<std::string>* notes) {
  return [file, &table, output, notes](int64_t height, int64_t width) {
    ImportedModel imported = file.bind(table, {.height = height, .width = width, .output = output});
    if (notes != nullptr) *notes = std::move(imported.notes);
    return std::move(imported.graph);
  };
}

Network bind_network(const NetworkFactory& make, const OpTable& table, int64_t height, int64_t width,
                     const FixedSides& fixed) {
  auto [bound, multiple] = Search(make, {height, width}, fixed).run();
  Network network{.graph = std::move(bound.graph),
                  .input = {},
                  .image = {},
                  .canvas_height = bound.output.height,
                  .canvas_width = bound.output.width,
                  .multiple = multiple};
  network.input = network.graph.inputs[0];
  network.image = network.graph.outputs[0];
  if (bound.output != Sides{height, width}) {
    GraphBuilder builder(network.graph, table);
    network.image = builder.add("Slice", {network.image},
                                {{"starts", Dims{0, 0}}, {"ends", Dims{height, width}}, {"axes", Dims{2, 3}}}, "crop");
    network.graph.outputs = {network.image};
  }
  return network;
}

void adapt_channels(Network& network, const OpTable& table, int channels) {
  const int64_t made = network.graph.shape(network.image)[1];
  if (made == channels) return;
  if (made != 3 || channels != 1) {
    fail("the network makes {} channel{}, the image has {}: use a network with {} output channels", made,
         made == 1 ? "" : "s", channels, channels);
  }
  GraphBuilder builder(network.graph, table);
  const ValueId luma = builder.constant({DType::f32, Shape{1, 3, 1, 1}, {0.299, 0.587, 0.114}}, "luma");
  network.image = builder.add("Conv", {network.image, luma}, {}, "to_gray");
  network.graph.outputs = {network.image};
}

Network bind_network(const NetworkFactory& make, const OpTable& table, const Image& image, const FixedSides& fixed) {
  Network network = bind_network(make, table, image.height, image.width, fixed);
  adapt_channels(network, table, image.channels);
  return network;
}

}  // namespace hourglass
