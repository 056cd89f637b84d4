#include "graph/detail/onnx_binder.h"

#include <algorithm>
#include <cmath>

#include "graph/error.h"
#include "graph/passes.h"
#include "graph/text.h"

namespace hourglass {
namespace {

constexpr const char* kOnlyForSizes =
    "supported only where it computes sizes, but here depends on the image's content or on weights";

// Ops whose inputs behind the first are weights, also when they have one element only.
bool takes_weights(std::string_view op) {
  return op == "Conv" || op == "ConvTranspose" || op == "BatchNormalization" || op == "InstanceNormalization" ||
         op == "PRelu" || op == "Gemm";
}

// Names of values in a weight's place, also through Identity and Cast, and in subgraphs.
void find_weights(const std::vector<const OnnxNode*>& nodes, std::unordered_set<std::string>& weights) {
  for (std::size_t n = nodes.size(); n-- > 0;) {
    const OnnxNode& node = *nodes[n];
    for (const auto& [name, subgraph] : node.subgraphs) {
      std::vector<const OnnxNode*> inner;
      for (const OnnxNode& part : subgraph->nodes) inner.push_back(&part);
      find_weights(inner, weights);
    }
    if (node.inputs.empty() || node.outputs.empty()) continue;
    if (takes_weights(node.op)) weights.insert(node.inputs.begin() + 1, node.inputs.end());
    if ((node.op == "Identity" || node.op == "Cast") && weights.contains(node.outputs[0])) {
      weights.insert(node.inputs[0]);
    }
  }
}

}  // namespace

Binder::Binder(const OnnxModel& model, const OpTable& table, const ImportOptions& options)
    : model_(model), table_(table), options_(options) {}

ImportedModel Binder::bind() {
  find_nodes();
  refuse_unsupported();
  if (!model_.invalid.empty()) fail("{}", model_.invalid);
  find_weights(nodes_, weights_);
  bind_input();
  add_everything();
  if (errors_.size() == 1) fail("{}", errors_.front());
  if (!errors_.empty()) fail("{} nodes can't be used:\n  {}", errors_.size(), join(errors_, "\n  "));
  if (graph_.outputs.empty()) fail("has no output");
  simplify();
  const std::vector<const Node*> left = shape_ops_left();
  if (!left.empty()) {
    std::vector<std::string> problems;
    for (const Node* node : left) problems.push_back(fmt::format("node '{}' ({})", node->name, node->op->name));
    fail("{}:\n  {}", kOnlyForSizes, join(problems, "\n  "));
  }
  check_numbers(graph_);
  if (separated_ > 0) {
    note(fmt::format("initial values shared through Identity: {} trained on {} own",
                     separated_ == 1 ? "1 parameter is" : fmt::format("{} parameters are", separated_),
                     separated_ == 1 ? "its" : "their"));
  }
  for (const auto& [name, op] : drawn_like_) {
    if (!graph_.find(name).valid()) continue;  // what drew a mask is not read any more
    note(fmt::format("{} is drawn once and trained, as {} is", op, op.substr(0, op.size() - 4)));
  }
  if (!options_.keep_values) {
    for (const ValueId id : graph_.parameters()) graph_.value(id).data.reset();
  }
  return std::move(result_);
}

void Binder::check_numbers(const Graph& graph) const {
  for (const Value& value : graph.values) {
    if (!value.data || !is_floating(value.data->dtype)) continue;
    const bool is_weight = value.kind == ValueKind::parameter || weights_.contains(value.name);
    const std::vector<double>& numbers = value.data->values;
    const auto wrong = std::find_if(numbers.begin(), numbers.end(), [&](double number) {
      return is_weight ? !std::isfinite(static_cast<float>(number)) : std::isnan(number);
    });
    if (wrong == numbers.end()) continue;
    fail("{} '{}' holds {} as element {}, counted from 0: expected {}", is_weight ? "weight" : "constant", value.name,
         static_cast<float>(*wrong), wrong - numbers.begin(), is_weight ? "finite float32 numbers" : "numbers");
  }
}

Examination Binder::examine() {
  Examination result{.nodes = {},
                     .outputs = {},
                     .problems = model_.problems,
                     .opset = model_.declared_opset,
                     .producer = model_.producer,
                     .graph = {}};
  const auto attempt = [&](const auto& work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      result.problems.emplace_back(error.what());
      return false;
    }
  };
  if (!attempt([&] { find_nodes(); })) return result;
  for (const OnnxNode* node : nodes_) {
    reports_.push_back(
        {.name = node->name, .op = node->op, .version = node->version, .problem = join(reasons_of(*node), "; ")});
  }
  const auto any_refused = [&] {
    return std::any_of(reports_.begin(), reports_.end(), [](const NodeReport& r) { return !r.problem.empty(); });
  };
  if (!model_.invalid.empty() && !any_refused()) result.problems.push_back(model_.invalid);
  find_weights(nodes_, weights_);
  if (!attempt([&] { bind_input(); })) bind_inputs_anyhow();
  attempt([&] {
    add_everything();
    if (wanted_outputs().empty()) fail("has no output");
    result.outputs = report_outputs();
    graph_.outputs.insert(graph_.outputs.end(), read_by_failed_.begin(), read_by_failed_.end());
    simplify();
    for (const Node* node : shape_ops_left()) {
      if (NodeReport* report = report_of(node->name)) report->problem = kOnlyForSizes;
    }
    cut_at_problems();
    result.graph = std::move(graph_);
  });
  if (result.graph) attempt([&] { check_numbers(*result.graph); });
  result.nodes = std::move(reports_);
  return result;
}

std::vector<OutputReport> Binder::report_outputs() const {
  const std::vector<std::string> wanted = wanted_outputs();
  std::vector<OutputReport> reports;
  for (const OnnxInput& output : model_.outputs) {
    if (std::find(wanted.begin(), wanted.end(), output.name) == wanted.end()) continue;
    OutputReport& report = reports.emplace_back(OutputReport{.name = output.name, .shape = {}});
    if (output.ranked) report.shape = output.type.shape;
    if (const ValueId* id = find(output.name); id != nullptr && id->valid()) report.shape = graph_.shape(*id);
  }
  return reports;
}

// What is computed from a node with a problem goes on from parameters in its outputs' places.
void Binder::cut_at_problems() {
  const auto cut = [&](ValueId id) {
    graph_.value(id).kind = graph_.type(id).dtype == DType::f32 ? ValueKind::parameter : ValueKind::input;
    graph_.value(id).init = {.kind = Init::Kind::normal, .stddev = 1};
  };
  for (const std::string& name : stand_ins_) {
    if (const ValueId id = graph_.find(name); id.valid()) cut(id);
  }
  for (const Node* node : shape_ops_left()) {
    for (const ValueId id : node->outputs) cut(id);
    for (const ValueId id : node->inputs) {
      if (id.valid() && graph_.value(id).kind == ValueKind::computed) graph_.outputs.push_back(id);
    }
  }
  std::erase_if(graph_.nodes, [](const Node& node) { return node.op->plan == nullptr; });
  graph_.find_producers();
}

// Parts of a node are called NODE/PART.
NodeReport* Binder::report_of(std::string_view name) {
  for (;;) {
    const auto it = std::find_if(reports_.begin(), reports_.end(), [&](const auto& r) { return r.name == name; });
    if (it != reports_.end()) return &*it;
    const std::size_t slash = name.rfind('/');
    if (slash == std::string_view::npos) return nullptr;
    name = name.substr(0, slash);
  }
}

// Those that the outputs asked for need.
void Binder::find_nodes() {
  const std::vector<std::string> wanted = wanted_outputs();
  std::unordered_set<std::string_view> needed(wanted.begin(), wanted.end());
  for (std::size_t n = model_.nodes.size(); n-- > 0;) {
    const OnnxNode& node = model_.nodes[n];
    const auto is_needed = [&](const std::string& name) { return needed.contains(name); };
    if (std::none_of(node.outputs.begin(), node.outputs.end(), is_needed)) continue;
    needed.insert(node.inputs.begin(), node.inputs.end());
    needed.insert(node.captured.begin(), node.captured.end());
    nodes_.push_back(&node);
  }
  std::reverse(nodes_.begin(), nodes_.end());
}

std::vector<std::string> Binder::wanted_outputs() const {
  std::vector<std::string> names;
  for (const OnnxInput& output : model_.outputs) {
    if (options_.output.empty() || options_.output == output.name) names.push_back(output.name);
  }
  if (!names.empty() || options_.output.empty()) return names;
  for (const OnnxInput& output : model_.outputs) names.push_back(output.name);
  fail("has no output '{}', those that it has are '{}'", options_.output, join(names, "', '"));
}

// Of all that is known without a size: all of it at once.
void Binder::refuse_unsupported() const {
  std::vector<std::string> problems;
  for (const OnnxNode* node : nodes_) {
    const std::vector<std::string> reasons = reasons_of(*node);
    if (!reasons.empty()) {
      problems.push_back(fmt::format("node '{}' ({}): {}", node->name, node->op, join(reasons, "; ")));
    }
  }
  std::string text = join(model_.problems, "\n");
  if (!problems.empty()) {
    text += fmt::format("{}{} of {} nodes {} not supported:\n  {}", text.empty() ? "" : "\n", problems.size(),
                        nodes_.size(), problems.size() == 1 ? "is" : "are", join(problems, "\n  "));
  }
  if (!text.empty()) fail("{}", text);
}

void Binder::add_everything() {
  result_.opset = model_.opset;
  result_.producer = model_.producer;
  result_.notes = model_.notes;
  graph_.name = model_.name;
  for (const auto& [name, data] : model_.initializers) add_initializer(name, data);
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    report_ = reports_.empty() ? nullptr : &reports_[n];
    if (report_ != nullptr && !report_->problem.empty()) {
      give_up(*nodes_[n]);
    } else {
      add_node(*nodes_[n]);
    }
  }
  for (const std::string& name : wanted_outputs()) {
    const ValueId* id = find(name);
    if (id == nullptr) {
      errors_.push_back(fmt::format("output '{}' is not computed by any node", name));
    } else if (id->valid()) {
      graph_.outputs.push_back(*id);
    }
  }
}

void Binder::bind_input() {
  const OnnxInput& input = image_input_of(model_);
  Dims dims = input.type.shape.dims();
  if (dims[0] == 0) dims[0] = 1;
  const auto bind = [&](int64_t& extent, int64_t asked, const char* what) {
    if (asked < 0) fail("asked for a {} of {}", what, asked);
    if (extent == 0) extent = asked;
    if (extent == 0) fail("leaves the {} of the image '{}' open: say which is wanted", what, input.name);
  };
  const bool other_height = dims[2] != 0 && options_.height != 0 && dims[2] != options_.height;
  const bool other_width = dims[3] != 0 && options_.width != 0 && dims[3] != options_.width;
  if (other_height || other_width) {
    const auto extent = [](int64_t n) { return n == 0 ? std::string("any") : fmt::format("{}", n); };
    fail("the file fixes H and W of the image '{}' to {}x{}, asked for {}x{}; export it with dynamic axes for H and W",
         input.name, extent(dims[2]), extent(dims[3]), extent(options_.height), extent(options_.width));
  }
  bind(dims[2], options_.height, "height");
  bind(dims[3], options_.width, "width");
  if (input.value && input.value->shape != Shape(dims)) {
    fail("the image '{}' is {}, and its default value {}", input.name, Shape(dims), input.value->shape);
  }
  graph_.inputs.push_back(add_value({.name = input.name,
                                     .type = {DType::f32, Shape(std::move(dims))},
                                     .kind = ValueKind::input,
                                     .init = {},
                                     .data = input.value}));
}

// For an examination of what can't be bound as it is: every input as it is declared, with what it leaves open as for an
// image.
void Binder::bind_inputs_anyhow() {
  for (const OnnxInput& input : model_.inputs) {
    if (!input.ranked) {
      define(input.name, kNoValue);
      continue;
    }
    Dims dims = input.type.shape.dims();
    const std::size_t rank = dims.size();
    const std::size_t height = rank == 4 && is_channels_last(model_, input) ? 1 : rank - std::min<std::size_t>(rank, 2);
    for (std::size_t i = 0; i < rank; ++i) {
      if (dims[i] != 0) continue;
      const bool has_sides = rank >= 2;
      dims[i] = std::max<int64_t>(1, has_sides && i == height       ? options_.height
                                     : has_sides && i == height + 1 ? options_.width
                                                                    : 1);
    }
    graph_.inputs.push_back(add_value({.name = input.name,
                                       .type = {input.type.dtype, Shape(std::move(dims))},
                                       .kind = ValueKind::input,
                                       .init = {},
                                       .data = {}}));
  }
}

void Binder::simplify() {
  forward_identities(graph_);
  eliminate_dead_code(graph_);
}

// Ops that exist to fold, and have not.
std::vector<const Node*> Binder::shape_ops_left() const {
  std::vector<const Node*> left;
  for (const Node& node : graph_.nodes) {
    if (node.op->plan == nullptr) left.push_back(&node);
  }
  return left;
}

}  // namespace hourglass
