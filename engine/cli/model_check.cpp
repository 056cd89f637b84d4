#include "engine/cli/model_check.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "engine/cli/freeze_option.h"
#include "engine/cli/network_option.h"
#include "engine/restore/energy.h"
#include "engine/restore/network.h"
#include "engine/runtime/compile.h"
#include "graph/error.h"
#include "graph/op.h"
#include "graph/text.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

// What a problem's text, or the op, suggests to whoever made the file.
std::string help_for(const NodeReport& node) {
  const auto says = [&](std::string_view text) { return node.problem.find(text) != std::string::npos; };
  const auto is_one_of = [&](std::initializer_list<std::string_view> ops) {
    return std::find(ops.begin(), ops.end(), node.op) != ops.end();
  };
  if (says("subgraph") || is_one_of({"If", "Loop", "Scan"})) {
    return "branches and loops must follow from the image's size: export what torch.jit.trace makes, or with fixed "
           "sizes";
  }
  if (is_one_of({"GRU", "LSTM", "RNN"})) return "networks for images are convolutional; recurrent layers stay out";
  if (node.op.find("Quantize") != std::string::npos || node.op.find("Integer") != std::string::npos ||
      node.op.starts_with("QLinear")) {
    return "whole numbers have no gradient: export the network from before its quantization";
  }
  if (says("domain")) return "the op belongs to other software: export with ONNX's own ops only";
  if (says("2-D")) return "work on images, [1, channels, height, width]";
  if (says("only where it computes sizes")) {
    return "what depends on pixels must be computed by ops with a gradient; for a choice, multiply by Sigmoid or Clip";
  }
  if (says("supported from opset")) return "export with a newer opset";
  if (says("attribute")) return "leave the attribute at its default, or export with another opset";
  if (says("the op is not supported")) return "express it by ops that are ('hourglass model check --ops' lists them)";
  return {};
}

// The node of the file that a step of the plan comes from: steps are called NODE, NODE/PART, NODE/PART/grad.
struct Origin {
  std::string node;
  bool backward = false;
};

Origin origin_of(const std::string& step, const std::set<std::string>& nodes) {
  for (std::size_t end = step.size();; end = step.rfind('/', end - 1)) {
    if (end == std::string::npos || end == 0) return {};
    const std::string name = step.substr(0, end);
    if (nodes.contains(name)) return {name, step.find("/grad", end) != std::string::npos};
  }
}

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

std::string start_of(const Value& parameter) {
  const Init& init = parameter.init;
  switch (init.kind) {
    case Init::Kind::values: return "values in the file";
    case Init::Kind::uniform:
      return init.low == init.high ? fmt::format("all {}", init.low)
                                   : fmt::format("uniform in [{:.4g}, {:.4g})", init.low, init.high);
    case Init::Kind::normal: return fmt::format("normal, mean {:.4g}, deviation {:.4g}", init.mean, init.stddev);
  }
  return {};
}

// A loss that needs every part of the graph: the squares of all that it makes.
ValueId add_loss(Graph& graph, const std::vector<ValueId>& made) {
  GraphBuilder builder(graph, op_table());
  std::vector<ValueId> terms;
  for (const ValueId id : made) terms.push_back(mean_of_squares(builder, id));
  ValueId loss = terms[0];
  for (std::size_t i = 1; i < terms.size(); ++i) loss = builder.add("Add", {loss, terms[i]}, {}, "energy/all");
  return loss;
}

// The steps of a fit, and why there are none for some nodes. Of a network that can't be bound as a whole: those of the
// graph that is left of it.
void add_steps(Graph graph, ValueId input, const CheckOptions& options, ModelCheck& check) {
  std::vector<ValueId> made = graph.outputs;
  std::erase_if(made, [&](ValueId id) { return graph.type(id).dtype != DType::f32; });
  if (made.empty()) return;
  const ValueId loss = add_loss(graph, made), image = made[0];
  std::map<std::string, NodeCheck*> by_name;
  std::set<std::string> names;
  for (NodeCheck& node : check.nodes) {
    by_name[node.report.name] = &node;
    names.insert(node.report.name);
  }
  for (const Node& node : graph.nodes) {
    const auto it = by_name.find(origin_of(node.name, names).node);
    if (it == by_name.end() || node.op->vjp != nullptr) continue;
    it->second->no_gradient = std::string(node.op->no_gradient);
  }
  std::vector<Refusal> refusals;
  const CompiledTraining compiled = compile_training(
      {.graph = graph, .input = input, .image = image, .loss = loss}, op_table(),
      {.precision = options.precision, .threads = options.threads, .allocate = false, .refusals = &refusals});
  for (const Refusal& refusal : refusals) {
    const auto it = by_name.find(origin_of(refusal.node, names).node);
    if (it == by_name.end()) {
      add_once(check.problems, fmt::format("node '{}' ({}): {}", refusal.node, refusal.op, refusal.reason));
    } else if (it->second->report.problem.empty()) {
      it->second->report.problem = refusal.reason;
      it->second->help = help_for(it->second->report);
    }
  }
  for (const StepInfo& step : compiled.plan.steps()) {
    const Origin origin = origin_of(step.name, names);
    const auto it = by_name.find(origin.node);
    if (it == by_name.end()) continue;
    add_once(origin.backward ? it->second->backward : it->second->forward, step.implementation);
    add_once(it->second->precisions, step.layout.substr(0, step.layout.find(':')));
  }
}

// The smallest square canvas, of a network whose output has its input's size.
int64_t least_side(const NetworkFactory& make, int64_t multiple) {
  const auto suits = [&](int64_t side) {
    try {
      const Graph graph = make(side, side);
      return graph.outputs.size() == 1 && graph.shape(graph.outputs[0])[-1] == side;
    } catch (const Error&) {
      return false;
    }
  };
  // Of what does not suit, and of what does.
  int64_t below = 0, found = bind_network(make, op_table(), 1, 1).canvas_width / multiple;
  while (found - below > 1) {
    const int64_t middle = (below + found) / 2;
    (suits(middle * multiple) ? found : below) = middle;
  }
  return found * multiple;
}

// What sides suit the network, found by trying: one that is odd both ways, and small ones.
std::string size_rule_of(const NetworkFactory& make, const FixedSides& fixed) {
  if (fixed.height != 0 && fixed.width != 0) {
    const Network network = bind_network(make, op_table(), 1, 1, fixed);
    return fmt::format(
        "images up to {}x{}, as the file fixes its input to {}x{}: export it with dynamic axes for larger",
        network.canvas_width, network.canvas_height, fixed.width, fixed.height);
  }
  if (fixed.height != 0 || fixed.width != 0) {
    return fmt::format("the file fixes the {} of its input to {}: export it with dynamic axes for other sizes",
                       fixed.height != 0 ? "height" : "width", std::max(fixed.height, fixed.width));
  }
  constexpr int64_t kHeight = 129, kWidth = 161;
  const Network network = bind_network(make, op_table(), kHeight, kWidth);
  const int64_t input = network.graph.shape(network.input)[2], output = network.canvas_height;
  if (output != input) {
    std::string rule = fmt::format(
        "any height and width: the input is chosen so that the output, here {}x{} of {}x{}, "
        "covers the image",
        network.canvas_width, output, network.graph.shape(network.input)[3], input);
    if (network.multiple > 1) rule += fmt::format(", in multiples of {}", network.multiple);
    return rule;
  }
  const int64_t multiple = network.multiple, least = least_side(make, multiple);
  if (multiple == 1) return least > 1 ? fmt::format("any height and width from {} on", least) : "any height and width";
  return fmt::format("height and width must be multiples of {}{}: padding is added", multiple,
                     least > multiple ? fmt::format(", and at least {}", least) : "");
}

// Smaller ones suit networks that nobody would use: what is halved may stay 1.
constexpr int64_t kLeastSide = 8;

// Of a network that does not suit the usual size: the largest square image that it suits, if there is one among those
// that its constants and its smallest canvas suggest. Small ones are tried first, up to one that is too large.
std::optional<ImageSize> limited_size(const OnnxFile& file, const NetworkFactory& make) {
  std::vector<int64_t> sides = file.likely_sides();
  try {
    sides.push_back(bind_network(make, op_table(), kLeastSide, kLeastSide).canvas_height);
  } catch (const Error&) {
    // Then its constants alone may tell.
  }
  std::sort(sides.begin(), sides.end());
  std::optional<ImageSize> largest;
  for (const int64_t side : sides) {
    bool suits = false;
    try {
      const Graph graph = make(side, side);
      const Shape& shape = graph.shape(graph.outputs.at(0));
      suits = graph.outputs.size() == 1 && shape.rank() == 4 && shape[2] == side && shape[3] == side;
    } catch (const Error&) {
      suits = false;
    }
    if (suits) largest = {.width = side, .height = side};
    if (!suits && largest) break;
  }
  return largest;
}

// `reason`: why the usual size does not.
std::string limited_rule(const NetworkFactory& make, const ImageSize& size, const std::string& reason) {
  bool any_smaller = true;
  try {
    for (const int64_t side : {size.height / 2, kLeastSide}) bind_network(make, op_table(), side, side);
  } catch (const Error&) {
    any_smaller = false;
  }
  return fmt::format("images {} {}x{}, and not every larger one: {}", any_smaller ? "up to" : "of", size.width,
                     size.height, reason);
}

bool is_channels(int64_t extent) { return extent == 1 || extent == 3; }

// What there is against the outputs as images, as far as their shapes are known. Open extents are 0.
std::optional<std::string> problem_of_outputs(const std::vector<OutputReport>& outputs) {
  const auto shape_of = [](const OutputReport& output) {
    return output.shape ? open_shape(*output.shape) : "of unknown shape";
  };
  if (outputs.size() > 1) {
    std::vector<std::string> names;
    for (const OutputReport& output : outputs) names.push_back(fmt::format("'{}' {}", output.name, shape_of(output)));
    return fmt::format("there are {} outputs ({}): say by --model-output NAME which one is the image", outputs.size(),
                       join(names, ", "));
  }
  if (outputs.empty() || !outputs[0].shape) return {};
  const OutputReport& output = outputs[0];
  const Shape& shape = *output.shape;
  const auto expected = [&](std::string_view why) {
    return fmt::format("output '{}' has shape {}{}, expected an image [1, 1 or 3 channels, height, width]", output.name,
                       shape_of(output), why);
  };
  if (shape.rank() != 4 || shape[0] > 1) return expected("");
  if (shape[1] == 0 || is_channels(shape[1])) return {};
  return expected(is_channels(shape[3]) ? ": its channels are last (NHWC, as TensorFlow has images)"
                                        : fmt::format(": {} channels", shape[1]));
}

// What a fit of an image starts from, and would refuse.
Network bind_as_a_fit(const NetworkFactory& make, const ImageSize& size, const FixedSides& fixed) {
  Network network = bind_network(make, op_table(), size.height, size.width, fixed);
  adapt_channels(network, op_table(), network.graph.shape(network.image)[1] == 1 ? 1 : 3);
  return network;
}

// An output that is an image, but smaller than the input by more than a border.
std::optional<std::string> problem_of_size(const Examination& examination) {
  if (examination.outputs.size() != 1 || !examination.outputs[0].shape || !examination.graph) return {};
  const Graph& graph = *examination.graph;
  if (graph.inputs.size() != 1) return {};
  const Shape &output = *examination.outputs[0].shape, &input = graph.shape(graph.inputs[0]);
  if (output.rank() != 4 || input.rank() != 4 || output[2] == 0 || output[3] == 0) return {};
  if (2 * output[2] > input[2] && 2 * output[3] > input[3]) return {};
  return fmt::format("output '{}' is {}x{} for an input of {}x{}: it must have the input's size, or a multiple of it",
                     examination.outputs[0].name, output[3], output[2], input[3], input[2]);
}

void add_examination(const Examination& examination, ModelCheck& check) {
  check.opset = examination.opset;
  check.producer = examination.producer;
  check.problems = examination.problems;
  if (std::optional<std::string> problem = problem_of_outputs(examination.outputs)) {
    check.problems.push_back(std::move(*problem));
  }
  for (const NodeReport& report : examination.nodes) {
    check.nodes.push_back({.report = report, .help = report.problem.empty() ? std::string() : help_for(report)});
  }
}

bool is_refused(const ModelCheck& check) {
  return !check.problems.empty() || std::any_of(check.nodes.begin(), check.nodes.end(),
                                                [](const NodeCheck& node) { return !node.report.problem.empty(); });
}

// Of what is left of a network with problems: only what else there is against its nodes matters.
void add_steps_anyhow(const Examination& examination, const CheckOptions& options, ModelCheck& check) {
  if (!examination.graph || examination.graph->inputs.empty() || examination.graph->outputs.empty()) return;
  try {
    Graph graph = *examination.graph;
    if (graph.parameters().empty()) {
      // A degradation has none: a factor to train stands for them.
      GraphBuilder builder(graph, op_table());
      const ValueId factor = builder.parameter("factor", {DType::f32, Shape{1}}, {});
      for (ValueId& id : graph.outputs) {
        if (graph.type(id).dtype == DType::f32) id = builder.add("Mul", {id, factor});
      }
    }
    add_steps(std::move(graph), examination.graph->inputs[0], options, check);
  } catch (const Error&) {
    // What is left alone may be no network.
  }
}

}  // namespace

std::string_view verdict_of(const NodeCheck& node) {
  if (!node.report.problem.empty()) return "refused";
  if (node.report.blocked) return "behind a refused one";
  if (node.report.folded) return "a constant";
  if (!node.no_gradient.empty() && !node.backward.empty()) return "refused";
  if (!node.backward.empty()) return "trains";
  if (!node.forward.empty()) return "runs";
  return "merged";
}

ModelCheck check_model(const OnnxFile& file, const CheckOptions& options) {
  ModelCheck check;
  const NetworkFactory make = network_of(file, op_table(), options.output, &check.notes);
  ImageSize size{.width = options.width, .height = options.height};
  FixedSides fixed;
  std::optional<Network> network;
  std::string refusal;
  try {
    fixed = fixed_sides(file);
    if (size.height == 0) size = usual_size(make, fixed);
    network = bind_as_a_fit(make, size, fixed);
  } catch (const Error& error) {
    refusal = error.what();
  }
  // Where no size is asked for, one that it suits will do, if it is for their size that canvases are refused.
  const bool any_size = options.height == 0 && fixed.height == 0 && fixed.width == 0 &&
                        refusal.find("no canvas suits this network") != std::string::npos;
  std::optional<ImageSize> limit;
  if (!network && any_size && (limit = limited_size(file, make))) {
    try {
      network = bind_as_a_fit(make, *limit, fixed);
      size = *limit;
    } catch (const Error&) {
      limit = {};
    }
  }
  // What can't be bound is examined for an input that its sizes are not to blame for.
  constexpr int64_t kUnit = 128, kUsual = 512;
  const auto side = [&](int axis, int64_t fixed_side, int64_t asked) {
    if (network) return network->graph.shape(network->input)[axis];
    return fixed_side != 0 ? fixed_side : asked == 0 ? kUsual : (asked + kUnit - 1) / kUnit * kUnit;
  };
  const std::vector<std::string> notes = check.notes;
  const Examination examination = file.examine(op_table(), {.height = side(2, fixed.height, size.height),
                                                            .width = side(3, fixed.width, size.width),
                                                            .output = options.output});
  add_examination(examination, check);
  if (!network) {
    const bool is_explained = is_refused(check);
    add_steps_anyhow(examination, options, check);
    // The nodes, or the model as a whole, say it better.
    if (!is_refused(check)) check.problems.push_back(refusal);
    if (is_explained) {
      if (std::optional<std::string> problem = problem_of_size(examination)) {
        check.problems.push_back(std::move(*problem));
      }
    }
    return check;
  }
  try {
    check.size_rule = limit ? limited_rule(make, *limit, refusal) : size_rule_of(make, fixed);
  } catch (const Error& error) {
    check.size_rule = fmt::format("not every height and width: {}", error.what());
  }
  check.notes = notes;
  check.canvas_height = network->canvas_height, check.canvas_width = network->canvas_width;
  if (network->graph.shape(network->image)[1] == 1) {
    check.notes.emplace_back("it makes one channel: gray images can be fitted with it, colour can't");
  }
  check.frozen = freeze(network->graph, options.frozen);
  for (const ValueId id : network->graph.parameters()) {
    const Value& value = network->graph.value(id);
    check.parameters.push_back({value.name, value.type.shape, start_of(value)});
  }
  check.buffers = likely_buffers(network->graph);
  if (std::string note = buffers_note(network->graph); !note.empty()) check.notes.push_back(std::move(note));
  if (check.parameters.empty() && check.frozen.empty()) {
    check.notes.emplace_back(
        "there is nothing to train in it, but if it makes a measurement of an image it can be what is undone: "
        "'hourglass restore MEASUREMENT --degradation FILE'");
  }
  network->graph.outputs = {network->image};
  try {
    add_steps(network->graph, network->input, options, check);
  } catch (const Error& error) {
    check.problems.emplace_back(error.what());
  }
  check.trainable = !is_refused(check);
  return check;
}

}  // namespace hourglass::cli
