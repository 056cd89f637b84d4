#include "engine/cli/model_check.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/cli/freeze_option.h"
#include "engine/restore/energy.h"
#include "engine/restore/network.h"
#include "engine/train/fit.h"
#include "graph/error.h"
#include "graph/op.h"
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
    return "control flow comes from Python branches and loops over tensors: export what torch.jit.trace makes, or with "
           "fixed sizes";
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

// The steps of a fit, and which nodes have none because there is no gradient rule.
void add_steps(const Network& network, const CheckOptions& options, ModelCheck& check) {
  std::map<std::string, NodeCheck*> by_name;
  std::set<std::string> names;
  for (NodeCheck& node : check.nodes) {
    by_name[node.report.name] = &node;
    names.insert(node.report.name);
  }
  for (const Node& node : network.graph.nodes) {
    const auto it = by_name.find(origin_of(node.name, names).node);
    if (it == by_name.end() || node.op->vjp != nullptr) continue;
    it->second->no_gradient = std::string(node.op->no_gradient);
  }
  const Shape& shape = network.graph.shape(network.image);
  const Problem problem = mse_problem(network, op_table(), Image(shape[3], shape[2], static_cast<int>(shape[1])));
  FitOptions fit;
  fit.threads = options.threads;
  fit.precision = options.precision;
  for (const StepInfo& step : Fit::planned_steps(problem, op_table(), fit)) {
    const Origin origin = origin_of(step.name, names);
    const auto it = by_name.find(origin.node);
    if (it == by_name.end()) continue;
    add_once(origin.backward ? it->second->backward : it->second->forward, step.implementation);
    add_once(it->second->precisions, step.layout.substr(0, step.layout.find(':')));
  }
}

// What sides suit the network, found by trying one that is odd both ways.
std::string size_rule_of(const ImageInput& input, const NetworkFactory& make) {
  if (input.height != 0 && input.width != 0) {
    return fmt::format("the file fixes {}x{}: export it with dynamic axes for other sizes", input.width, input.height);
  }
  constexpr int64_t kHeight = 129, kWidth = 161;
  const int64_t multiple = bind_network(make, op_table(), kHeight, kWidth).multiple;
  if (multiple == 1) return "any height and width";
  return fmt::format("height and width must be multiples of {}: padding is added", multiple);
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
  const ImageInput input = file.image_input();
  const auto make = [&](int64_t height, int64_t width) {
    ImportedModel model = file.bind(op_table(), {.height = height, .width = width});
    check.notes = model.notes;
    return std::move(model.graph);
  };
  std::optional<Network> network;
  try {
    network = bind_network(make, op_table(), options.height, options.width);
    check.size_rule = size_rule_of(input, make);
    check.canvas_height = network->canvas_height, check.canvas_width = network->canvas_width;
  } catch (const Error& error) {
    check.problem = error.what();
  }
  // Of a network that can't be bound: a canvas that its sizes are not to blame for.
  constexpr int64_t kUnit = 128;
  const auto canvas = [&](int64_t fixed, int64_t bound, int64_t asked) {
    return fixed != 0 ? fixed : network ? bound : (asked + kUnit - 1) / kUnit * kUnit;
  };
  const Examination examination =
      file.examine(op_table(), {.height = canvas(input.height, check.canvas_height, options.height),
                                .width = canvas(input.width, check.canvas_width, options.width)});
  check.opset = examination.opset;
  check.producer = examination.producer;
  for (const NodeReport& report : examination.nodes) {
    check.nodes.push_back({.report = report, .help = report.problem.empty() ? std::string() : help_for(report)});
    // The nodes say it better.
    if (!report.problem.empty()) check.problem.clear();
  }
  if (!network) return check;
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
        "'hourglass "
        "restore MEASUREMENT --degradation FILE'");
  }
  try {
    add_steps(*network, options, check);
  } catch (const Error& error) {
    check.problem = error.what();
  }
  check.trainable = check.problem.empty();
  return check;
}

}  // namespace hourglass::cli
