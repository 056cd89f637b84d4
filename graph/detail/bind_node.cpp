// Binder, node by node: constants and random numbers, copies, compositions, what folds, and what stays a node.
#include "graph/detail/onnx_binder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "graph/detail/onnx_inference.h"
#include "graph/detail/random_mask.h"
#include "graph/error.h"
#include "graph/passes.h"
#include "graph/text.h"

namespace hourglass {
namespace {

// Constants that compositions need, all together.
constexpr int64_t kMaxPartElements = int64_t{1} << 28;

// A parameter that is drawn, as much as one whose values the file holds; and all of them together.
constexpr int64_t kMaxDrawnElements = int64_t{1} << 28;
constexpr int64_t kMaxAllDrawnElements = int64_t{1} << 29;

constexpr const char* kMeanOfMask =
    "random masks (DropPath) are replaced by their means, as Dropout passes its input on: nothing is dropped";

bool is_random_like(std::string_view op) { return op == "RandomUniformLike" || op == "RandomNormalLike"; }

// Ops that the importer reads by itself.
bool is_source(std::string_view op) {
  return op == "Constant" || op == "Bernoulli" || op == "RandomUniform" || op == "RandomNormal" || is_random_like(op);
}
bool is_control_flow(std::string_view op) { return op == "If" || op == "Loop"; }

}  // namespace

std::vector<std::string> Binder::reasons_of(const OnnxNode& node) const {
  std::vector<std::string> reasons = node.unsupported;
  const OpDef* op = table_.find(node.op);
  if (node.domain == kOwnDomain) {
    if (op == nullptr) reasons.emplace_back("the op is not known");
  } else if (!node.domain.empty()) {
    reasons.push_back(fmt::format("domain '{}' is not known", node.domain));
  } else if (is_source(node.op) || is_control_flow(node.op)) {
    // Read by the importer itself.
  } else if (op == nullptr || op->internal) {
    reasons.emplace_back("the op is not supported");
  } else if (op->since > model_.opset) {
    reasons.push_back(fmt::format("supported from opset {}, the file has {}", op->since, model_.opset));
  } else if (op->normalize == nullptr) {
    for (const auto& [name, value] : node.attrs.all()) {
      const bool known = std::any_of(op->attrs.begin(), op->attrs.end(),
                                     [&, n = std::string_view(name)](const AttrSpec& s) { return s.name == n; });
      if (!known) reasons.push_back(fmt::format("attribute '{}' is not supported", name));
    }
  }
  return reasons;
}

void Binder::add_initializer(const std::string& name, const std::shared_ptr<const HostTensor>& data) {
  const int64_t count = data->shape.elements();
  const bool trains =
      !options_.fixed && data->dtype == DType::f32 && (count > 1 || (count == 1 && weights_.contains(name)));
  add_value({.name = name,
             .type = {data->dtype, data->shape},
             .kind = trains ? ValueKind::parameter : ValueKind::constant,
             .init = {},
             .data = data});
}

void Binder::add_node(const OnnxNode& file_node) {
  Node node{.op = nullptr, .name = node_name(file_node), .attrs = file_node.attrs, .inputs = {}, .outputs = {}};
  for (const std::string& name : file_node.inputs) {
    if (name.empty()) {
      node.inputs.push_back(kNoValue);
      continue;
    }
    const ValueId* id = find(name);
    if (id == nullptr) refuse(file_node, fmt::format("reads '{}', an output that is not supported", name));
    // Behind a node that failed there is nothing to say.
    if (id == nullptr || !id->valid()) {
      if (report_ != nullptr) report_->blocked = report_->problem.empty();
      return give_up(file_node);
    }
    node.inputs.push_back(*id);
  }
  try {
    std::vector<std::string> outputs = file_node.outputs;
    if (file_node.domain.empty() &&
        (add_source(file_node, node.inputs) || add_copy(file_node, node.inputs) ||
         add_mean_of_mask(file_node, node.inputs) || add_mean_of_choice(file_node, node.inputs) ||
         add_control_flow(file_node, node.inputs))) {
      return;
    }
    canonicalize(file_node, node, outputs);
    narrow_doubles(node);
    if (!add_parts(node, outputs) && !fold(node, outputs)) append(node, outputs);
  } catch (const Error& error) {
    refuse(file_node, error.what());
    give_up(file_node);
  }
}

void Binder::refuse(const OnnxNode& node, const std::string& problem) {
  const std::string within = scopes_.back().prefix;
  const std::string label = fmt::format("node '{}{}' ({})", within, node.name, node.op);
  errors_.push_back(fmt::format("{}: {}", label, problem));
  if (report_ == nullptr) return;
  // Of a node in a branch or a loop it is that one's problem.
  const std::string text = within.empty() ? problem : fmt::format("{}: {}", label, problem);
  report_->problem += (report_->problem.empty() ? "" : "; ") + text;
}

void Binder::give_up(const OnnxNode& node) {
  if (!stand_in(node)) {
    for (const std::string& name : node.outputs) define(name, kNoValue);
  }
  for (const std::string& name : node.inputs) {
    if (const ValueId* id = find(name); id != nullptr && id->valid()) read_by_failed_.push_back(*id);
  }
}

bool Binder::stand_in(const OnnxNode& node) {
  // In a loop, every iteration would have the same to say.
  if (report_ == nullptr || report_->blocked || scopes_.size() > 1) return false;
  std::vector<const Value*> inputs;
  for (const std::string& name : node.inputs) {
    const ValueId* id = name.empty() ? nullptr : find(name);
    if (!name.empty() && (id == nullptr || !id->valid())) return false;
    inputs.push_back(id == nullptr ? nullptr : &graph_.value(*id));
  }
  const std::vector<std::optional<TensorType>> types = types_as_onnx_says(node, model_.opset, inputs);
  for (std::size_t o = 0; o < types.size(); ++o) {
    const std::string& name = node.outputs[o];
    if (name.empty()) continue;
    // Of fewer dimensions are factors and sizes, whose values would matter.
    constexpr int kLeastRank = 3;
    if (!types[o] || types[o]->dtype != DType::f32 || types[o]->shape.rank() < kLeastRank) {
      define(name, kNoValue);
      continue;
    }
    add_value({.name = name, .type = *types[o], .kind = ValueKind::input, .init = {}, .data = {}});
    stand_ins_.push_back(name);
  }
  return true;
}

// Nodes that are no computation: constants, and numbers drawn at random, which become parameters.
bool Binder::add_source(const OnnxNode& node, const std::vector<ValueId>& inputs) {
  if (!is_source(node.op)) return false;
  if (node.outputs.size() != 1) fail("has {} outputs, expected one", node.outputs.size());
  if (report_ != nullptr) report_->folded = node.op == "Constant";
  if (node.op == "Constant") {
    add_constant(node.outputs[0], constant_of(node.attrs));
    return true;
  }
  if (node.op == "Bernoulli") {
    if (inputs.size() != 1 || !inputs[0].valid()) fail("has {} inputs, expected one", inputs.size());
    const Value& chances = graph_.value(inputs[0]);
    const bool known =
        chances.kind == ValueKind::constant || (chances.kind == ValueKind::parameter && chances.data != nullptr);
    if (!known || !is_floating(chances.type.dtype)) {
      fail("supported with constant chances only: those of a branch or an element to be kept");
    }
    // The mean of a mask is its chance.
    if (chances.kind == ValueKind::constant) {
      define(node.outputs[0], inputs[0]);
    } else {
      add_constant(node.outputs[0], chances.data);
    }
    note_mean_of_mask();
    return true;
  }
  constexpr int64_t kFloat = 1;  // onnx::TensorProto::FLOAT
  const auto real = [&](const char* name, double otherwise) {
    return node.attrs.has(name) ? node.attrs.real(name) : otherwise;
  };
  if (node.attrs.has("dtype") && node.attrs.integer("dtype") != kFloat) fail("must be of type float");
  Init init;
  Shape shape;
  if (is_random_like(node.op)) {
    if (inputs.size() != 1 || !inputs[0].valid()) fail("has {} inputs, expected one", inputs.size());
    if (!is_floating(graph_.type(inputs[0]).dtype)) fail("draws like {}, expected float", graph_.type(inputs[0]).dtype);
    shape = graph_.shape(inputs[0]);
    drawn_like_.emplace_back(node.outputs[0], node.op);
  } else {
    shape = Shape(node.attrs.ints("shape"));
  }
  if (shape.elements() > kMaxDrawnElements || (drawn_ += shape.elements()) > kMaxAllDrawnElements) {
    fail("draws a parameter of shape {}: one may have up to {} elements, all together {}", shape, kMaxDrawnElements,
         kMaxAllDrawnElements);
  }
  if (node.op.starts_with("RandomUniform")) {
    init = {.kind = Init::Kind::uniform, .low = real("low", 0), .high = real("high", 1)};
    if (!(init.low <= init.high)) fail("low {} is above high {}", init.low, init.high);
  } else {
    init = {.kind = Init::Kind::normal, .mean = real("mean", 0), .stddev = real("scale", 1)};
    if (!(init.stddev >= 0)) fail("scale {} is negative", init.stddev);
  }
  add_value({.name = node.outputs[0],
             .type = {DType::f32, std::move(shape)},
             .kind = ValueKind::parameter,
             .init = init,
             .data = {}});
  return true;
}

// Identity, or Cast to f32, of an initializer: a parameter of its own.
bool Binder::add_copy(const OnnxNode& node, const std::vector<ValueId>& inputs) {
  if ((node.op != "Identity" && node.op != "Cast") || inputs.size() != 1 || node.outputs.size() != 1) return false;
  if (!inputs[0].valid()) return false;
  const Value& value = graph_.value(inputs[0]);
  if (value.kind != ValueKind::parameter || value.data == nullptr) return false;
  constexpr int64_t kFloat = 1;  // onnx::TensorProto::FLOAT
  if (node.op == "Cast" && node.attrs.integer("to") != kFloat) return false;
  if (node.op == "Identity") ++separated_;
  Value copy = value;
  copy.name = node.outputs[0];
  add_value(std::move(copy));
  return true;
}

// A random mask of zeros and ones: its mean.
bool Binder::add_mean_of_mask(const OnnxNode& node, const std::vector<ValueId>& inputs) {
  if (inputs.size() != 1 || !inputs[0].valid() || node.outputs.size() != 1) return false;
  const std::optional<double> mean = mean_of_mask(graph_, node, inputs[0]);
  if (!mean) return false;
  add_constant(node.outputs[0], folder_.filled(graph_.shape(inputs[0]), *mean));
  if (report_ != nullptr) report_->folded = true;
  note_mean_of_mask();
  return true;
}

// Where, by a comparison of what was drawn: the mean of its choices.
bool Binder::add_mean_of_choice(const OnnxNode& node, const std::vector<ValueId>& inputs) {
  if (node.op != "Where" || inputs.size() != 3 || node.outputs.size() != 1) return false;
  if (std::any_of(inputs.begin(), inputs.end(), [](ValueId id) { return !id.valid(); })) return false;
  const std::optional<double> chance = chance_of(graph_, inputs[0]);
  if (!chance || graph_.type(inputs[1]).dtype != DType::f32 || graph_.type(inputs[2]).dtype != DType::f32) return false;
  const Shape shape = broadcast(graph_.shape(inputs[0]), broadcast(graph_.shape(inputs[1]), graph_.shape(inputs[2])));
  const std::size_t before = graph_.values.size();
  const std::string name = node_name(node);
  GraphBuilder& b = builder();
  const auto share = [&](ValueId id, double factor) {
    return b.add("Mul", {id, b.constant(HostTensor::scalar(DType::f32, factor))}, {}, name + "/Mul");
  };
  ValueId mean = b.add("Add", {share(inputs[1], *chance), share(inputs[2], 1 - *chance)}, {}, name + "/Add");
  if (graph_.shape(mean) != shape) mean = b.add("Expand", {mean}, {{"shape", shape.dims()}}, name + "/Expand");
  check_size(graph_.type(mean));
  name_outputs(node.outputs, {mean}, before);
  note_mean_of_mask();
  return true;
}

// Brings the node to the form of graph/op.h.
void Binder::canonicalize(const OnnxNode& file_node, Node& node, std::vector<std::string>& outputs) {
  std::string op_name = file_node.op;
  node.op = table_.find(op_name);
  if (file_node.domain != kOwnDomain) {
    if (node.op->normalize != nullptr) {
      std::vector<std::string> notes;
      NormalizeContext ctx{.opset = model_.opset,
                           .op = op_name,
                           .attrs = node.attrs,
                           .inputs = node.inputs,
                           .outputs = outputs,
                           .graph = graph_,
                           .notes = notes,
                           .fixed = options_.fixed};
      node.op->normalize(ctx);
      for (const std::string& text : notes) note(text);
      node.op = table_.find(op_name);
      if (node.op == nullptr) fail("op '{}' is not known", op_name);
    }
    inputs_to_attrs(node);
  }
  while (!node.inputs.empty() && !node.inputs.back().valid()) node.inputs.pop_back();
  complete_attrs(*node.op, node.attrs);
}

void Binder::narrow_doubles(Node& node) {
  const auto runs = [&](ValueId id) { return id.valid() && graph_.value(id).kind != ValueKind::constant; };
  if (node.op->by_type || std::none_of(node.inputs.begin(), node.inputs.end(), runs)) return;
  bool narrowed = false;
  for (ValueId& id : node.inputs) {
    if (!id.valid() || graph_.type(id).dtype != DType::f64 || graph_.value(id).kind != ValueKind::constant) continue;
    HostTensor same = *graph_.value(id).data;
    same.dtype = DType::f32;
    constexpr double kMost = std::numeric_limits<float>::max();
    for (double& value : same.values) {
      value = static_cast<float>(std::isfinite(value) ? std::clamp(value, -kMost, kMost) : value);
    }
    id = builder().constant(std::move(same), graph_.value(id).name + "/f32");
    narrowed = true;
  }
  constexpr int64_t kFloat = 1, kDouble = 11;  // onnx::TensorProto::FLOAT, DOUBLE
  if (node.op->name == "Cast" && node.attrs.integer("to") == kDouble) {
    node.attrs.set("to", kFloat);
    narrowed = true;
  }
  if (narrowed) note("what the file computes in double precision runs in f32 here");
}

void Binder::inputs_to_attrs(Node& node) {
  std::set<std::size_t, std::greater<>> taken;
  for (const ConstInput& slot : node.op->const_inputs) {
    if (model_.opset < slot.since || (slot.until != 0 && model_.opset > slot.until)) continue;
    if (slot.index >= node.inputs.size()) continue;
    taken.insert(slot.index);
    const ValueId id = node.inputs[slot.index];
    if (!id.valid()) continue;
    const std::string name(slot.attr);
    const auto spec = std::find_if(node.op->attrs.begin(), node.op->attrs.end(),
                                   [&](const AttrSpec& s) { return s.name == slot.attr; });
    if (spec == node.op->attrs.end()) continue;  // an input that the op knows of and does not need
    try {
      node.attrs.set(name, to_attr(*folder_.known_value(id), spec->kind));
    } catch (const Error& error) {
      throw error.within(fmt::format("input '{}' ({})", name, graph_.value(id).name));
    }
  }
  for (const std::size_t index : taken) node.inputs.erase(node.inputs.begin() + static_cast<std::ptrdiff_t>(index));
}

// A composition: its parts take its place.
bool Binder::add_parts(const Node& node, const std::vector<std::string>& outputs) {
  if (node.op->lower == nullptr) return false;
  const std::size_t before = graph_.values.size();
  const std::vector<ValueId> parts = without_prefix(node, [&] { return lower(builder(), node, outputs.size()); });
  if (parts.empty()) return false;
  for (std::size_t i = before; i < graph_.values.size(); ++i) {
    check_size(graph_.values[i].type);
    if (graph_.values[i].kind == ValueKind::constant) part_elements_ += graph_.values[i].type.shape.elements();
  }
  if (part_elements_ > kMaxPartElements) fail("needs constants of more than {} elements in all", kMaxPartElements);
  if (parts.size() < outputs.size()) {
    fail("its output '{}' is not supported", outputs[parts.size()]);
  }
  name_outputs(outputs, parts, before);
  return true;
}

// Computes the node now, where that is possible. False when it has to stay a node.
bool Binder::fold(const Node& node, const std::vector<std::string>& outputs) {
  std::optional<std::vector<HostTensor>> values = folder_.fold(node);
  if (!values) return false;
  if (report_ != nullptr) report_->folded = true;
  for (std::size_t i = 0; i < values->size(); ++i) {
    const ValueId id =
        add_constant(output_name(node, outputs, i), std::make_shared<const HostTensor>(std::move((*values)[i])));
    const bool trains = makes_weights(node) && !options_.fixed && graph_.shape(id).elements() > 1;
    if (trains) graph_.value(id).kind = ValueKind::parameter;
  }
  return true;
}

void Binder::append(Node& node, const std::vector<std::string>& outputs) {
  const std::vector<TensorType> types = folder_.types_of(node);
  for (std::size_t i = 0; i < types.size(); ++i) {
    node.outputs.push_back(add_value({.name = output_name(node, outputs, i),
                                      .type = types[i],
                                      .kind = ValueKind::computed,
                                      .producer = static_cast<int32_t>(graph_.nodes.size()),
                                      .init = {},
                                      .data = {}}));
  }
  graph_.nodes.push_back(std::move(node));
}

void Binder::name_outputs(const std::vector<std::string>& names, const std::vector<ValueId>& values,
                          std::size_t first_new) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) continue;
    define(names[i], values[i]);
    if (!values[i].valid() || static_cast<std::size_t>(values[i].index) < first_new) continue;
    graph_.value(values[i]).name = unique_name(names[i]);
  }
}

void Binder::note_mean_of_mask() {
  if (options_.fixed) {
    fail("draws at random: what is not trained must be known, so give what is drawn as an initializer");
  }
  note(kMeanOfMask);
}

void Binder::note(const std::string& text) {
  auto& notes = result_.notes;
  if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(text);
}

const ValueId* Binder::find(const std::string& name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto it = scope->names.find(name); it != scope->names.end()) return &it->second;
  }
  return nullptr;
}

ValueId Binder::add_value(Value value) {
  const ValueId id{static_cast<int32_t>(graph_.values.size())};
  define(value.name, id);
  value.name = unique_name(value.name);
  graph_.values.push_back(std::move(value));
  return id;
}

ValueId Binder::add_constant(const std::string& name, std::shared_ptr<const HostTensor> data) {
  return add_value({.name = name,
                    .type = {data->dtype, data->shape},
                    .kind = ValueKind::constant,
                    .init = {},
                    .data = std::move(data)});
}

std::string Binder::output_name(const Node& node, const std::vector<std::string>& outputs, std::size_t i) const {
  if (i < outputs.size() && !outputs[i].empty()) return outputs[i];
  std::string name = fmt::format("{}.out{}", node.name.substr(scopes_.back().prefix.size()), i);
  while (find(name) != nullptr) name += "_";
  return name;
}

// The file's own names are unique in the main graph. Branches and iterations may use the same ones.
std::string Binder::unique_name(const std::string& name) {
  return scopes_.size() == 1 ? name : builder().unique_name(scopes_.back().prefix + name);
}

GraphBuilder& Binder::builder() {
  if (builder_) return *builder_;
  builder_.emplace(graph_, table_);
  for (const OnnxNode& node : model_.nodes) {
    builder_->unique_name(node.name);
    for (const std::string& name : node.outputs) builder_->unique_name(name);
  }
  return *builder_;
}

}  // namespace hourglass
