// hourglass model check: can this ONNX file be trained here, and if not, why?
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/model_check.h"
#include "engine/cli/network_option.h"
#include "engine/cli/output.h"
#include "engine/cli/size_option.h"
#include "graph/error.h"
#include "graph/op.h"
#include "graph/text.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

struct ModelCheckOptions {
  std::string model, output, size, freeze, precision = "auto";
  int threads = 0;
  bool ops = false, json = false;
};

constexpr const char* kModelCheckFooter = R"(Each node of the file gets a verdict:
  trains      forward and gradient, by the implementations named
  runs        forward only: nothing behind it is trained
  a constant  computed once the image's size is known
  merged      part of its neighbours' work, or not needed
  refused     with the reason, and what would help

What looks like a buffer, and is trained all the same: a tensor of two or more dimensions with 2 to 16 different
numbers, each there twice or more on average (a mask, a fixed filter); the bias beside such a filter; vectors called
..._u and ..._v (spectral normalisation).

All that stands in the way is listed at once. Of one output that is larger or smaller than the input, the input is
chosen so that the output covers the image.

Exit code 0: a fit can be started with it, 'hourglass restore IMAGE --method fit --model MODEL'. 1: it can't.

Examples:
  hourglass model check net.onnx
  hourglass model check net.onnx --size 1024x768
  hourglass model check net.onnx --freeze '*attn_mask'
  hourglass model check u2net.onnx --model-output d0
  hourglass model check --ops)";

// With the opset of its definition, as ONNX's documentation lists it: "Conv-11".
std::string op_of(const NodeReport& node) {
  return node.version == 0 ? node.op : fmt::format("{}-{}", node.op, node.version);
}

void print_text(const std::string& name, const ModelCheck& check) {
  fmt::print("{}: opset {}{}\n\n", name, check.opset, check.producer.empty() ? "" : ", written by " + check.producer);
  std::size_t wide = 4, op_wide = 2;
  for (const NodeCheck& node : check.nodes) {
    wide = std::max(wide, node.report.name.size());
    op_wide = std::max(op_wide, op_of(node.report).size());
  }
  fmt::print("{:<{}}  {:<{}}  {:<10}  {:<9}  {}\n", "node", wide, "op", op_wide, "verdict", "precision",
             "implementations, forward | backward");
  for (const NodeCheck& node : check.nodes) {
    std::string rest = join(node.forward, ", ");
    if (!node.backward.empty()) rest += fmt::format(" | {}", join(node.backward, ", "));
    fmt::print("{:<{}}  {:<{}}  {:<10}  {:<9}  {}\n", node.report.name, wide, op_of(node.report), op_wide,
               verdict_of(node), join(node.precisions, ","), rest);
  }
  if (!check.parameters.empty()) {
    int64_t count = 0;
    for (const ParameterCheck& parameter : check.parameters) count += parameter.shape.elements();
    fmt::print("\nparameters: {} tensors, {} numbers\n", check.parameters.size(), count);
    for (const ParameterCheck& parameter : check.parameters) {
      const bool is_buffer =
          std::find(check.buffers.begin(), check.buffers.end(), parameter.name) != check.buffers.end();
      fmt::print("  {}  {}  {}{}\n", parameter.name, parameter.shape, parameter.start,
                 is_buffer ? ", looks like a buffer" : "");
    }
  }
  if (!check.frozen.empty()) print_message(stdout, "\nnot trained: " + join(check.frozen, ", "));
  fmt::print("\n");
  for (const std::string& note : check.notes) print_message(stdout, "note: " + note);
  if (!check.size_rule.empty()) print_message(stdout, "size: " + check.size_rule);
  for (const NodeCheck& node : check.nodes) {
    if (node.report.problem.empty()) continue;
    print_message(stdout,
                  fmt::format("refused: node '{}' ({}): {}", node.report.name, node.report.op, node.report.problem));
    if (!node.help.empty()) fmt::print("         what would help: {}\n", node.help);
  }
  for (const std::string& problem : check.problems) print_message(stdout, "refused: " + problem);
  fmt::print("{}\n", check.trainable ? "It can be trained here." : "It can't be trained here.");
}

void print_json(const std::string& name, const ModelCheck& check) {
  auto nodes = Json::array(), parameters = Json::array();
  for (const NodeCheck& node : check.nodes) {
    nodes.push_back({{"name", node.report.name},
                     {"op", node.report.op},
                     {"opset", node.report.version},
                     {"verdict", verdict_of(node)},
                     {"problem", node.report.problem},
                     {"help", node.help},
                     {"no_gradient", node.no_gradient},
                     {"forward", node.forward},
                     {"backward", node.backward},
                     {"precision", node.precisions}});
  }
  for (const ParameterCheck& parameter : check.parameters) {
    parameters.push_back({{"name", parameter.name}, {"shape", parameter.shape.dims()}, {"start", parameter.start}});
  }
  const Json json = {{"model", name},
                     {"trainable", check.trainable},
                     {"problems", check.problems},
                     {"opset", check.opset},
                     {"producer", check.producer},
                     {"size_rule", check.size_rule},
                     {"canvas_width", check.canvas_width},
                     {"canvas_height", check.canvas_height},
                     {"notes", check.notes},
                     {"nodes", std::move(nodes)},
                     {"parameters", std::move(parameters)},
                     {"frozen", check.frozen},
                     {"buffers", check.buffers}};
  fmt::print("{}\n", result_object(json).text());
}

void print_ops() {
  for (const OpDef* op : op_table().all()) {
    if (op->internal) continue;
    const bool folds = op->plan == nullptr && op->lower == nullptr;
    fmt::print("{:<26} from opset {:<3} {}\n", op->name, std::max(op->since, 7),
               folds                     ? "sizes and constants only"
               : op->no_gradient.empty() ? ""
                                         : "no gradient");
  }
  fmt::print("{:<26} from opset {:<3} its mean: nothing is dropped\n", "Bernoulli", 15);
  fmt::print("{:<26} from opset {:<3} the condition must follow from the image's size\n", "If", 7);
  fmt::print("{:<26} from opset {:<3} the trip count and the condition must follow from the image's size\n", "Loop", 7);
  // The importer's own: an initializer is made of them.
  for (const char* name : {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}) {
    fmt::print("{:<26} from opset {:<3} how a weight starts\n", name, 7);
  }
}

ExitCode run_check(const ModelCheckOptions& options) {
  if (options.ops) {
    print_ops();
    return ExitCode::ok;
  }
  if (options.model.empty()) fail("say which MODEL to check");
  const OnnxFile file = find_builtin(options.model) != nullptr
                            ? OnnxFile::parse(builtin_file(options.model), options.model)
                            : OnnxFile::read(options.model);
  CheckOptions check{.output = options.output,
                     .precision = choose_precision(options.precision),
                     .threads = options.threads,
                     .frozen = options.freeze};
  if (!options.size.empty()) {
    const ImageSize size = parse_size(options.size);
    check.height = size.height, check.width = size.width;
  }
  const ModelCheck result = check_model(file, check);
  options.json ? print_json(options.model, result) : print_text(options.model, result);
  return result.trainable ? ExitCode::ok : ExitCode::error;
}

}  // namespace

Command model_check_command() {
  const auto options = std::make_shared<ModelCheckOptions>();
  Command command{
      .name = "check", .help = "Whether an ONNX file can be trained here, node by node", .footer = kModelCheckFooter};
  command.add({{.names = "MODEL",
                .takes = "NET",
                .target = &options->model,
                .help = "An ONNX file, or a name that 'hourglass model list' prints"},
               model_output_option(options->output),
               {.names = "--size",
                .takes = "WIDTHxHEIGHT",
                .target = &options->size,
                .help = "The image's, WIDTHxHEIGHT (default: 512x512, or what the file fixes)"},
               {.names = "--freeze",
                .takes = "NAMES",
                .target = &options->freeze,
                .help = "Parameters that are not to be trained, as the fitting commands take them"},
               {.names = "--precision",
                .target = &options->precision,
                .help = "What a fit would compute in",
                .checks = {one_of({"auto", "f32", "bf16"})}},
               {.names = "--threads",
                .target = &options->threads,
                .help = "0: all that are available",
                .checks = {range(0, 1024)}},
               {.names = "--ops", .target = &options->ops, .help = "List the ops that are supported instead"},
               {.names = "--json", .target = &options->json, .help = "Report as one line of JSON"}});
  command.run = [options](ParsedCommand&) { return run_check(*options); };
  return command;
}

}  // namespace hourglass::cli
