#include "graph/detail/constant_folder.h"

#include <algorithm>
#include <unordered_map>

#include "graph/detail/onnx_model.h"

namespace hourglass {
namespace {

// A constant that one node folds to, and all of them together.
constexpr int64_t kMaxFoldElements = int64_t{1} << 25;
constexpr int64_t kMaxFoldedElements = int64_t{1} << 27;

// Multiply-adds at import, all together: references are slow.
constexpr double kMaxFoldWork = 2e9;

// Of what is computed in a fit: 256 GiB.
constexpr int64_t kMaxNodeElements = int64_t{1} << 36;

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

}  // namespace

void check_size(const TensorType& type) {
  if (type.shape.elements() > kMaxNodeElements) fail("makes {}, more than {} elements", type.shape, kMaxNodeElements);
}

std::vector<TensorType> ConstantFolder::types_of(const Node& node) const {
  std::vector<const TensorType*> inputs;
  for (const ValueId id : node.inputs) inputs.push_back(id.valid() ? &graph_.type(id) : nullptr);
  std::vector<TensorType> types =
      without_prefix(node, [&] { return infer_types(*node.op, node.attrs, inputs, node.name); });
  for (const TensorType& type : types) check_size(type);
  return types;
}

std::optional<std::vector<HostTensor>> ConstantFolder::fold(const Node& node) {
  const OpDef& op = *node.op;
  if (op.reference == nullptr) return {};
  const bool is_weight = makes_weights(node);
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
      return {};
    }
  }
  const std::vector<TensorType> types = types_of(node);
  const bool large = std::any_of(types.begin(), types.end(),
                                 [](const TensorType& type) { return type.shape.elements() > kMaxFoldElements; });
  if (large || !affords(node, types)) return {};
  count(types);
  return evaluate_reference(op, node.attrs, inputs);
}

std::shared_ptr<const HostTensor> ConstantFolder::filled(const Shape& shape, double value) {
  const TensorType type{DType::f32, shape};
  if (shape.elements() > kMaxFoldElements) fail("makes a constant of {}, which is large", shape);
  count({type});
  HostTensor tensor(type.dtype, shape);
  std::fill(tensor.values.begin(), tensor.values.end(), value);
  return std::make_shared<const HostTensor>(std::move(tensor));
}

std::shared_ptr<const HostTensor> ConstantFolder::known_value(ValueId wanted) {
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
    count(types);
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

void ConstantFolder::count(const std::vector<TensorType>& types) {
  for (const TensorType& type : types) {
    if (type.shape.elements() > kMaxFoldedElements - folded_) {
      fail("the file's constant part grows beyond {} elements", kMaxFoldedElements);
    }
    folded_ += type.shape.elements();
  }
}

bool ConstantFolder::affords(const Node& node, const std::vector<TensorType>& outputs) {
  std::vector<TensorType> inputs;
  for (const ValueId id : node.inputs) inputs.push_back(id.valid() ? graph_.type(id) : TensorType{});
  const double work = work_of(node, inputs, outputs);
  if (!(work <= kMaxFoldWork - work_)) return false;
  work_ += work;
  return true;
}

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

std::shared_ptr<const HostTensor> constant_of(const Attrs& attrs) {
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

}  // namespace hourglass
