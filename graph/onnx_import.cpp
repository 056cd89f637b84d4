// The half of the importer that knows ops: OnnxModel -> Graph, for one image size.
#include "graph/onnx_import.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "graph/detail/onnx_model.h"
#include "graph/error.h"
#include "graph/op.h"
#include "graph/passes.h"
#include "graph/text.h"

namespace hourglass {
namespace {

// A constant that one node folds to, and all of them together.
constexpr int64_t kMaxFoldElements = int64_t{1} << 25;
constexpr int64_t kMaxFoldedElements = int64_t{1} << 27;

// Constants that compositions need, all together.
constexpr int64_t kMaxPartElements = int64_t{1} << 28;

// Multiply-adds at import, all together: references are slow.
constexpr double kMaxFoldWork = 2e9;

// A parameter that is drawn, as much as one whose values the file holds; and all of them together.
constexpr int64_t kMaxDrawnElements = int64_t{1} << 28;
constexpr int64_t kMaxAllDrawnElements = int64_t{1} << 29;

// Of what is computed in a fit: 256 GiB.
constexpr int64_t kMaxElements = int64_t{1} << 36;

std::string label(const OnnxNode& node) { return fmt::format("node '{}' ({})", node.name, node.op); }

// Ops whose inputs behind the first are weights, also when they have one element only.
bool takes_weights(std::string_view op) {
  return op == "Conv" || op == "ConvTranspose" || op == "BatchNormalization" || op == "InstanceNormalization" ||
         op == "PRelu" || op == "Gemm";
}

// Multiply-adds that the reference of a node takes, about: for most one for each output.
double work_of(const Node& node, const std::vector<TensorType>& inputs, const std::vector<TensorType>& outputs) {
  const auto count = [](const TensorType& type) { return static_cast<double>(type.shape.elements()); };
  double work = 0;
  for (const TensorType& type : outputs) work += count(type);
  const std::string_view op = node.op->name;
  if (work == 0 || node.op->by_type) return work;
  if (op == "Conv" || op == "ConvTranspose") {
    return count(op == "Conv" ? outputs[0] : inputs[0]) * count(inputs[1]) / static_cast<double>(inputs[1].shape[0]);
  }
  if (op == "MatMul") return work * static_cast<double>(inputs[0].shape[-1]);
  if (op == "Gemm") return work * count(inputs[0]) / static_cast<double>(outputs[0].shape[0]);
  if (op.starts_with("Reduce")) return count(inputs[0]);
  if (node.attrs.has("kernel_shape")) {
    for (const int64_t extent : node.attrs.ints("kernel_shape")) work *= static_cast<double>(extent);
  }
  return work;
}

// A constant input as the attribute that the op declares.
AttrValue to_attr(const HostTensor& tensor, AttrKind kind) {
  const auto single = [&]() {
    if (tensor.shape.elements() != 1) fail("has shape {}, expected one element", tensor.shape);
    return tensor;
  };
  const auto number = [&](double value) {
    return tensor.dtype == DType::f32 ? decimal(static_cast<float>(value)) : value;
  };
  switch (kind) {
    case AttrKind::integer: return single().to_ints().front();
    case AttrKind::real: return number(single().values.front());
    case AttrKind::ints: return tensor.to_ints();
    case AttrKind::floats: {
      Floats values;
      for (const double value : tensor.values) values.push_back(number(value));
      return values;
    }
    case AttrKind::tensor: return std::make_shared<const HostTensor>(tensor);
    case AttrKind::string:
    case AttrKind::strings: break;
  }
  fail("a tensor can't be {}", to_string(kind));
}

// For what names the node in its errors, as add_node does too.
template <typename Function>
auto without_prefix(const Node& node, const Function& function) {
  try {
    return function();
  } catch (const Error& error) {
    const std::string prefix = fmt::format("node '{}' ({}): ", node.name, node.op->name);
    std::string_view text = error.what();
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    throw Error(std::string(text));
  }
}

class Binder {
 public:
  Binder(const OnnxModel& model, const OpTable& table, const ImportOptions& options)
      : model_(model), table_(table), options_(options) {}

  ImportedModel run() {
    refuse_unsupported();
    if (!model_.invalid.empty()) fail("{}", model_.invalid);
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

  Examination examine() {
    Examination result{.nodes = {}, .problem = {}, .opset = model_.opset, .producer = model_.producer};
    for (const OnnxNode& node : model_.nodes) {
      reports_.push_back(
          {.name = node.name, .op = node.op, .version = node.version, .problem = join(reasons_of(node), "; ")});
    }
    try {
      add_everything();
      if (graph_.outputs.empty()) fail("has no output");
      simplify();
      for (const Node* node : shape_ops_left()) {
        const auto it =
            std::find_if(reports_.begin(), reports_.end(), [&](const auto& r) { return r.name == node->name; });
        if (it != reports_.end()) it->problem = kOnlyForSizes;
      }
    } catch (const Error& error) {
      const bool follows =
          std::any_of(reports_.begin(), reports_.end(), [](const auto& r) { return !r.problem.empty(); });
      if (!follows) result.problem = error.what();
    }
    result.nodes = std::move(reports_);
    return result;
  }

 private:
  static constexpr const char* kMeanOfMask =
      "random masks (DropPath) are replaced by their means, as Dropout passes its input on: nothing is dropped";
  static constexpr const char* kOnlyForSizes =
      "supported only where it computes sizes, but here depends on the image's content or on weights";

  void add_everything() {
    result_.opset = model_.opset;
    result_.producer = model_.producer;
    result_.notes = model_.notes;
    graph_.name = model_.name;
    find_weights();
    bind_input();
    for (const auto& [name, data] : model_.initializers) add_initializer(name, data);
    for (std::size_t n = 0; n < model_.nodes.size(); ++n) {
      report_ = reports_.empty() ? nullptr : &reports_[n];
      if (report_ != nullptr && !report_->problem.empty()) {
        give_up(model_.nodes[n]);
      } else {
        add_node(model_.nodes[n]);
      }
    }
    for (const std::string& name : model_.outputs) {
      const auto it = names_.find(name);
      if (it == names_.end()) {
        errors_.push_back(fmt::format("output '{}' is not computed by any node", name));
      } else if (it->second.valid()) {
        graph_.outputs.push_back(it->second);
      }
    }
  }

  void simplify() {
    forward_identities(graph_);
    eliminate_dead_code(graph_);
  }

  void note(const std::string& text) {
    auto& notes = result_.notes;
    if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(text);
  }

  // What can be said against a node without looking at a shape.
  [[nodiscard]] std::vector<std::string> reasons_of(const OnnxNode& node) const {
    std::vector<std::string> reasons = node.unsupported;
    const OpDef* op = table_.find(node.op);
    if (node.domain == kOwnDomain) {
      if (op == nullptr) reasons.emplace_back("the op is not known");
    } else if (!node.domain.empty()) {
      reasons.push_back(fmt::format("domain '{}' is not known", node.domain));
    } else if (is_source(node.op)) {
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

  // All of it at once.
  void refuse_unsupported() const {
    std::vector<std::string> problems;
    for (const OnnxNode& node : model_.nodes) {
      const std::vector<std::string> reasons = reasons_of(node);
      if (!reasons.empty()) problems.push_back(fmt::format("{}: {}", label(node), join(reasons, "; ")));
    }
    if (!problems.empty()) {
      fail("{} of {} nodes {} not supported:\n  {}", problems.size(), model_.nodes.size(),
           problems.size() == 1 ? "is" : "are", join(problems, "\n  "));
    }
  }

  static bool is_random_like(std::string_view op) { return op == "RandomUniformLike" || op == "RandomNormalLike"; }

  static bool is_source(std::string_view op) {
    return op == "Constant" || op == "Bernoulli" || op == "RandomUniform" || op == "RandomNormal" || is_random_like(op);
  }

  // Names of values in a weight's place, also through Identity and Cast.
  void find_weights() {
    for (std::size_t n = model_.nodes.size(); n-- > 0;) {
      const OnnxNode& node = model_.nodes[n];
      if (node.inputs.empty() || node.outputs.empty()) continue;
      if (takes_weights(node.op)) weights_.insert(node.inputs.begin() + 1, node.inputs.end());
      if ((node.op == "Identity" || node.op == "Cast") && weights_.contains(node.outputs[0])) {
        weights_.insert(node.inputs[0]);
      }
    }
  }

  ValueId add_value(Value value) {
    const ValueId id{static_cast<int32_t>(graph_.values.size())};
    names_[value.name] = id;
    graph_.values.push_back(std::move(value));
    return id;
  }

  void bind_input() {
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
      fail(
          "the file fixes H and W of the image '{}' to {}x{}, asked for {}x{}; export it with dynamic axes for H and W",
          input.name, extent(dims[2]), extent(dims[3]), extent(options_.height), extent(options_.width));
    }
    bind(dims[2], options_.height, "height");
    bind(dims[3], options_.width, "width");
    graph_.inputs.push_back(add_value({.name = input.name,
                                       .type = {DType::f32, Shape(std::move(dims))},
                                       .kind = ValueKind::input,
                                       .init = {},
                                       .data = {}}));
  }

  void add_initializer(const std::string& name, const std::shared_ptr<const HostTensor>& data) {
    const int64_t count = data->shape.elements();
    const bool trains =
        !options_.fixed && data->dtype == DType::f32 && (count > 1 || (count == 1 && weights_.contains(name)));
    add_value({.name = name,
               .type = {data->dtype, data->shape},
               .kind = trains ? ValueKind::parameter : ValueKind::constant,
               .init = {},
               .data = data});
  }

  void add_node(const OnnxNode& file_node) {
    Node node{.op = nullptr, .name = file_node.name, .attrs = file_node.attrs, .inputs = {}, .outputs = {}};
    for (const std::string& name : file_node.inputs) {
      if (name.empty()) {
        node.inputs.push_back(kNoValue);
        continue;
      }
      const auto it = names_.find(name);
      if (it == names_.end()) refuse(file_node, fmt::format("reads '{}', an output that is not supported", name));
      // Behind a node that failed there is nothing to say.
      if (it == names_.end() || !it->second.valid()) {
        if (report_ != nullptr) report_->blocked = report_->problem.empty();
        return give_up(file_node);
      }
      node.inputs.push_back(it->second);
    }
    try {
      std::vector<std::string> outputs = file_node.outputs;
      if (file_node.domain.empty() &&
          (add_source(file_node, node.inputs) || add_copy(file_node, node.inputs) ||
           add_mean_of_mask(file_node, node.inputs) || add_mean_of_choice(file_node, node.inputs))) {
        return;
      }
      canonicalize(file_node, node, outputs);
      if (!add_parts(node, outputs) && !fold(node, outputs)) append(node, outputs);
    } catch (const Error& error) {
      refuse(file_node, error.what());
      give_up(file_node);
    }
  }

  void refuse(const OnnxNode& node, const std::string& problem) {
    errors_.push_back(fmt::format("{}: {}", label(node), problem));
    if (report_ != nullptr) report_->problem = problem;
  }

  void give_up(const OnnxNode& node) {
    for (const std::string& name : node.outputs) names_[name] = kNoValue;
  }

  // Nodes that are no computation: constants, and numbers drawn at random, which become parameters.
  bool add_source(const OnnxNode& node, const std::vector<ValueId>& inputs) {
    if (!is_source(node.op)) return false;
    if (node.outputs.size() != 1) fail("has {} outputs, expected one", node.outputs.size());
    if (report_ != nullptr) report_->folded = node.op == "Constant";
    if (node.op == "Constant") {
      auto data = constant_of(node.attrs);
      add_value({.name = node.outputs[0],
                 .type = {data->dtype, data->shape},
                 .kind = ValueKind::constant,
                 .init = {},
                 .data = std::move(data)});
      return true;
    }
    if (node.op == "Bernoulli") {
      if (inputs.size() != 1 || !inputs[0].valid()) fail("has {} inputs, expected one", inputs.size());
      if (graph_.value(inputs[0]).kind != ValueKind::constant || !is_floating(graph_.type(inputs[0]).dtype)) {
        fail("supported with constant chances only: those of a branch or an element to be kept");
      }
      names_[node.outputs[0]] = inputs[0];  // the mean of a mask is its chance
      note(kMeanOfMask);
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
      if (!is_floating(graph_.type(inputs[0]).dtype))
        fail("draws like {}, expected float", graph_.type(inputs[0]).dtype);
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

  static std::shared_ptr<const HostTensor> constant_of(const Attrs& attrs) {
    const auto make = [](HostTensor tensor) { return std::make_shared<const HostTensor>(std::move(tensor)); };
    const auto list = [](DType dtype, Floats values) {
      const auto count = static_cast<int64_t>(values.size());
      return HostTensor(dtype, Shape{count}, std::move(values));
    };
    if (attrs.has("value")) return make(attrs.tensor("value"));
    if (attrs.has("value_float")) return make(HostTensor::scalar(DType::f32, attrs.real("value_float")));
    if (attrs.has("value_floats")) return make(list(DType::f32, attrs.floats("value_floats")));
    if (attrs.has("value_int")) {
      return make(HostTensor::scalar(DType::i64, static_cast<double>(attrs.integer("value_int"))));
    }
    if (attrs.has("value_ints")) return make(HostTensor::ints(attrs.ints("value_ints")));
    fail("holds no number");
  }

  // Identity, or Cast to f32, of an initializer: a parameter of its own.
  bool add_copy(const OnnxNode& node, const std::vector<ValueId>& inputs) {
    if ((node.op != "Identity" && node.op != "Cast") || inputs.size() != 1 || node.outputs.size() != 1) return false;
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

  // A value is factor * base + offset, as far as constants of one element tell; base is itself where they tell nothing.
  struct Affine {
    ValueId base;
    double factor = 1, offset = 0;
  };

  [[nodiscard]] Affine affine_of(ValueId id) const {
    Affine affine{.base = id};
    constexpr int kMostSteps = 16;
    for (int step = 0; step < kMostSteps && graph_.value(affine.base).kind == ValueKind::computed; ++step) {
      const Node& node = graph_.nodes[static_cast<std::size_t>(graph_.value(affine.base).producer)];
      const std::string_view op = node.op->name;
      if (op == "Identity" || op == "Cast" || op == "Reshape" || op == "Expand" || op == "Unsqueeze") {
        affine.base = node.inputs[0];
        continue;
      }
      if (op != "Add" && op != "Sub" && op != "Mul" && op != "Div") break;
      const std::optional<double> left = number_of(node.inputs[0]), right = number_of(node.inputs[1]);
      if (left.has_value() == right.has_value() || (op == "Div" && (left || *right == 0))) break;
      const double number = left ? *left : *right;
      if (op == "Add" || op == "Sub") {
        affine.offset += affine.factor * (op == "Sub" && right ? -number : number);
        if (op == "Sub" && left) affine.factor = -affine.factor;
      } else {
        affine.factor *= op == "Div" ? 1 / number : number;
      }
      affine.base = node.inputs[left ? 1 : 0];
    }
    return affine;
  }

  [[nodiscard]] std::optional<double> number_of(ValueId id) const {
    const Value& value = graph_.value(id);
    if (value.kind != ValueKind::constant || value.type.shape.elements() != 1) return {};
    return value.data->values[0];
  }

  // Where a value lies that was drawn uniformly.
  struct Range {
    double low, high;
    [[nodiscard]] double share_below(double bound) const { return std::clamp((bound - low) / (high - low), 0.0, 1.0); }
  };

  [[nodiscard]] std::optional<Range> uniform_range(ValueId id) const {
    const Affine affine = affine_of(id);
    const Value& base = graph_.value(affine.base);
    if (base.kind != ValueKind::parameter || base.data != nullptr || base.init.kind != Init::Kind::uniform) return {};
    const double a = affine.factor * base.init.low + affine.offset, b = affine.factor * base.init.high + affine.offset;
    if (!(std::min(a, b) < std::max(a, b))) return {};
    return Range{std::min(a, b), std::max(a, b)};
  }

  // How probable it is that a comparison of what was drawn with a number, or its negation, holds.
  [[nodiscard]] std::optional<double> chance_of(ValueId id) const {
    const Value& value = graph_.value(id);
    if (value.kind != ValueKind::computed || value.type.dtype != DType::boolean) return {};
    const Node& node = graph_.nodes[static_cast<std::size_t>(value.producer)];
    const std::string_view op = node.op->name;
    const bool less = op == "Less" || op == "LessOrEqual";
    if (!less && op != "Greater" && op != "GreaterOrEqual") return {};
    const std::optional<double> left = number_of(node.inputs[0]), right = number_of(node.inputs[1]);
    if (left.has_value() == right.has_value()) return {};
    const std::optional<Range> range = uniform_range(node.inputs[left ? 1 : 0]);
    if (!range) return {};
    const double below = range->share_below(left ? *left : *right);
    return less == right.has_value() ? below : 1 - below;
  }

  // A random mask of zeros and ones, as for dropping whole branches: Floor of what was drawn uniformly in [0, 2), or
  // Cast of its comparison with a number. Drawn once it would drop the same branches in every iteration. Its mean takes
  // its place, as when a network that drops is applied.
  bool add_mean_of_mask(const OnnxNode& node, const std::vector<ValueId>& inputs) {
    constexpr int64_t kFloat = 1;  // onnx::TensorProto::FLOAT
    if (inputs.size() != 1 || !inputs[0].valid() || node.outputs.size() != 1) return false;
    std::optional<double> mean;
    if (node.op == "Floor") {
      const std::optional<Range> range = uniform_range(inputs[0]);
      if (range && range->low >= 0 && range->high <= 2) mean = 1 - range->share_below(1);
    } else if (node.op == "Cast" && node.attrs.integer("to") == kFloat) {
      mean = chance_of(inputs[0]);
    }
    if (!mean) return false;
    const TensorType type{DType::f32, graph_.shape(inputs[0])};
    if (type.shape.elements() > kMaxFoldElements) fail("makes a mask of {}, which is large", type.shape);
    count_folded({type});
    HostTensor tensor(type.dtype, type.shape);
    std::fill(tensor.values.begin(), tensor.values.end(), *mean);
    add_value({.name = node.outputs[0],
               .type = type,
               .kind = ValueKind::constant,
               .init = {},
               .data = std::make_shared<const HostTensor>(std::move(tensor))});
    if (report_ != nullptr) report_->folded = true;
    note(kMeanOfMask);
    return true;
  }

  // Where, by such a comparison: the mean of its choices.
  bool add_mean_of_choice(const OnnxNode& node, const std::vector<ValueId>& inputs) {
    if (node.op != "Where" || inputs.size() != 3 || node.outputs.size() != 1) return false;
    if (std::any_of(inputs.begin(), inputs.end(), [](ValueId id) { return !id.valid(); })) return false;
    const std::optional<double> chance = chance_of(inputs[0]);
    if (!chance || graph_.type(inputs[1]).dtype != DType::f32 || graph_.type(inputs[2]).dtype != DType::f32)
      return false;
    const Shape shape = broadcast(graph_.shape(inputs[0]), broadcast(graph_.shape(inputs[1]), graph_.shape(inputs[2])));
    GraphBuilder& b = builder();
    const auto share = [&](ValueId id, double factor) {
      return b.add("Mul", {id, b.constant(HostTensor::scalar(DType::f32, factor))}, {}, node.name + "/Mul");
    };
    ValueId mean = b.add("Add", {share(inputs[1], *chance), share(inputs[2], 1 - *chance)}, {}, node.name + "/Add");
    if (graph_.shape(mean) != shape) mean = b.add("Expand", {mean}, {{"shape", shape.dims()}}, node.name + "/Expand");
    names_[node.outputs[0]] = mean;
    graph_.value(mean).name = node.outputs[0];
    note(kMeanOfMask);
    return true;
  }

  // Adds what takes a node's place.
  GraphBuilder& builder() {
    if (!builder_) {
      builder_.emplace(graph_, table_);
      for (const OnnxNode& other : model_.nodes) {
        builder_->unique_name(other.name);
        for (const std::string& name : other.outputs) builder_->unique_name(name);
      }
    }
    return *builder_;
  }

  // Brings the node to the form of graph/op.h.
  void canonicalize(const OnnxNode& file_node, Node& node, std::vector<std::string>& outputs) {
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

  // A composition: its parts take its place.
  bool add_parts(const Node& node, const std::vector<std::string>& outputs) {
    if (node.op->lower == nullptr) return false;
    const std::size_t before = graph_.values.size();
    const std::vector<ValueId> parts = without_prefix(node, [&] { return lower(builder(), node, outputs.size()); });
    if (parts.empty()) return false;
    for (std::size_t i = before; i < graph_.values.size(); ++i) {
      if (graph_.values[i].kind == ValueKind::constant) part_elements_ += graph_.values[i].type.shape.elements();
    }
    if (part_elements_ > kMaxPartElements) fail("needs constants of more than {} elements in all", kMaxPartElements);
    if (parts.size() < outputs.size()) {
      fail("its output '{}' is not supported", outputs[parts.size()]);
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].empty()) continue;
      names_[outputs[i]] = parts[i];
      if (static_cast<std::size_t>(parts[i].index) >= before) graph_.value(parts[i]).name = outputs[i];
    }
    return true;
  }

  void inputs_to_attrs(Node& node) {
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
        node.attrs.set(name, to_attr(*known_value(id), spec->kind));
      } catch (const Error& error) {
        throw error.within(fmt::format("input '{}' ({})", name, graph_.value(id).name));
      }
    }
    for (const std::size_t index : taken) node.inputs.erase(node.inputs.begin() + static_cast<std::ptrdiff_t>(index));
  }

  // The value of something that must not depend on the image: a constant, an initializer, or what is computed from
  // initializers alone.
  std::shared_ptr<const HostTensor> known_value(ValueId wanted) {
    const auto at = [](ValueId id) { return static_cast<std::size_t>(id.index); };
    if (graph_.value(wanted).data != nullptr) return graph_.value(wanted).data;
    std::vector<bool> needed(graph_.values.size(), false);
    needed[at(wanted)] = true;
    std::vector<const Node*> order;
    for (std::size_t n = graph_.nodes.size(); n-- > 0;) {
      const Node& node = graph_.nodes[n];
      if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) { return needed[at(id)]; })) continue;
      order.push_back(&node);
      for (const ValueId id : node.inputs) {
        if (id.valid()) needed[at(id)] = true;
      }
    }
    std::unordered_map<int32_t, std::shared_ptr<const HostTensor>> known;
    for (std::size_t i = 0; i < needed.size(); ++i) {
      const Value& value = graph_.values[i];
      if (!needed[i] || value.kind == ValueKind::computed) continue;
      if (value.kind == ValueKind::input) fail("depends on the image's content, it must be constant");
      if (value.data == nullptr) fail("depends on '{}', which is drawn at random: it must be constant", value.name);
      known[static_cast<int32_t>(i)] = value.data;
    }
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      const Node& node = **it;
      if (node.op->reference == nullptr) fail("needs the value of '{}' ({})", node.name, node.op->name);
      const std::vector<TensorType> types = types_of(node);
      count_folded(types);
      if (!affords(node, types)) fail("takes too long to compute: '{}' ({}) is large", node.name, node.op->name);
      std::vector<const HostTensor*> inputs;
      for (const ValueId id : node.inputs) inputs.push_back(id.valid() ? known.at(id.index).get() : nullptr);
      std::vector<HostTensor> outputs = evaluate_reference(*node.op, node.attrs, inputs);
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        known[node.outputs[i].index] = std::make_shared<const HostTensor>(std::move(outputs[i]));
      }
    }
    return known.at(wanted.index);
  }

  std::string output_name(const Node& node, const std::vector<std::string>& outputs, std::size_t i) {
    if (i < outputs.size() && !outputs[i].empty()) return outputs[i];
    std::string name = fmt::format("{}.out{}", node.name, i);
    while (names_.contains(name)) name += "_";
    return name;
  }

  // Keeps what is computed at import within bounds.
  void count_folded(const std::vector<TensorType>& types) {
    for (const TensorType& type : types) {
      if (type.shape.elements() > kMaxFoldedElements - folded_) {
        fail("the file's constant part grows beyond {} elements", kMaxFoldedElements);
      }
      folded_ += type.shape.elements();
    }
  }

  // Takes a node's work off what may be done at import.
  bool affords(const Node& node, const std::vector<TensorType>& outputs) {
    std::vector<TensorType> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(id.valid() ? graph_.type(id) : TensorType{});
    const double work = work_of(node, inputs, outputs);
    if (!(work <= kMaxFoldWork - work_)) return false;
    work_ += work;
    return true;
  }

  // Computes the node now if its inputs are known. False when it has to stay a node. Weights that the file keeps in a
  // byte each, and scales for them, become parameters that start at what they stand for.
  bool fold(const Node& node, const std::vector<std::string>& outputs) {
    const OpDef& op = *node.op;
    if (op.reference == nullptr) return false;
    const bool is_weight = op.name == "DequantizeLinear";
    std::vector<HostTensor> stand_ins(node.inputs.size());
    std::vector<const HostTensor*> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (!id.valid()) {
        inputs.push_back(nullptr);
      } else if (op.by_type) {
        stand_ins[i].dtype = graph_.type(id).dtype;
        stand_ins[i].shape = graph_.shape(id);
        inputs.push_back(&stand_ins[i]);
      } else if (graph_.value(id).kind == ValueKind::constant || (is_weight && graph_.value(id).data != nullptr)) {
        inputs.push_back(graph_.value(id).data.get());
      } else {
        return false;
      }
    }
    const std::vector<TensorType> types = types_of(node);
    const bool large = std::any_of(types.begin(), types.end(),
                                   [](const TensorType& type) { return type.shape.elements() > kMaxFoldElements; });
    if (large || !affords(node, types)) return false;
    count_folded(types);
    if (report_ != nullptr) report_->folded = true;
    std::vector<HostTensor> values = evaluate_reference(op, node.attrs, inputs);
    for (std::size_t i = 0; i < values.size(); ++i) {
      auto data = std::make_shared<const HostTensor>(std::move(values[i]));
      const bool trains = is_weight && !options_.fixed && data->values.size() > 1;
      add_value({.name = output_name(node, outputs, i),
                 .type = {data->dtype, data->shape},
                 .kind = trains ? ValueKind::parameter : ValueKind::constant,
                 .init = {},
                 .data = data});
    }
    return true;
  }

  [[nodiscard]] std::vector<TensorType> types_of(const Node& node) const {
    std::vector<const TensorType*> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(id.valid() ? &graph_.type(id) : nullptr);
    std::vector<TensorType> types =
        without_prefix(node, [&] { return infer_types(*node.op, node.attrs, inputs, node.name); });
    for (const TensorType& type : types) {
      if (type.shape.elements() > kMaxElements) fail("makes {}, more than {} elements", type.shape, kMaxElements);
    }
    return types;
  }

  void append(Node& node, const std::vector<std::string>& outputs) {
    const std::vector<TensorType> types = types_of(node);
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

  // Ops that exist to fold, and have not.
  [[nodiscard]] std::vector<const Node*> shape_ops_left() const {
    std::vector<const Node*> left;
    for (const Node& node : graph_.nodes) {
      if (node.op->plan == nullptr) left.push_back(&node);
    }
    return left;
  }

  const OnnxModel& model_;
  const OpTable& table_;
  const ImportOptions& options_;
  ImportedModel result_{};
  Graph& graph_ = result_.graph;
  std::optional<GraphBuilder> builder_;             // made for the first composition
  std::unordered_map<std::string, ValueId> names_;  // kNoValue: behind a node that failed
  std::unordered_set<std::string> weights_;
  std::vector<std::pair<std::string, std::string>>
      drawn_like_;  // outputs and ops of RandomUniformLike, RandomNormalLike
  std::vector<std::string> errors_;
  std::vector<NodeReport> reports_;  // examine() only: one per node
  NodeReport* report_ = nullptr;     // of the node at hand
  int64_t folded_ = 0;               // elements, as drawn_
  int64_t drawn_ = 0;
  int64_t part_elements_ = 0;
  double work_ = 0;
  int separated_ = 0;
};

}  // namespace

OnnxFile::OnnxFile(OnnxModel model) : model_(std::make_shared<const OnnxModel>(std::move(model))) {}

OnnxFile OnnxFile::read(const std::filesystem::path& path) {
  std::string bytes;
  try {
    bytes = read_onnx_bytes(path);
  } catch (const Error& error) {
    throw error.within(path.string());
  }
  return OnnxFile(parse_onnx(bytes, path.string(), path.has_parent_path() ? path.parent_path() : "."));
}

OnnxFile OnnxFile::parse(std::string_view bytes, std::string_view name) {
  return OnnxFile(parse_onnx(bytes, std::string(name), {}));
}

ImportedModel OnnxFile::bind(const OpTable& table, const ImportOptions& options) const {
  try {
    return Binder(*model_, table, options).run();
  } catch (const Error& error) {
    throw error.within(model_->file);
  }
}

Examination OnnxFile::examine(const OpTable& table, const ImportOptions& options) const {
  return Binder(*model_, table, options).examine();
}

ImageInput OnnxFile::image_input() const {
  try {
    const OnnxInput& input = image_input_of(*model_);
    return {.name = input.name,
            .channels = input.type.shape[1],
            .height = input.type.shape[2],
            .width = input.type.shape[3]};
  } catch (const Error& error) {
    throw error.within(model_->file);
  }
}

ImportedModel import_onnx(const std::filesystem::path& path, const OpTable& table, const ImportOptions& options) {
  return OnnxFile::read(path).bind(table, options);
}

ImportedModel import_onnx(std::string_view bytes, std::string_view name, const OpTable& table,
                          const ImportOptions& options) {
  return OnnxFile::parse(bytes, name).bind(table, options);
}

}  // namespace hourglass
