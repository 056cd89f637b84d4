#include "graph/op.h"

#include <algorithm>
#include <cassert>

#include "graph/error.h"

namespace hourglass {

VjpContext::VjpContext(GraphBuilder& builder, const Node& forward, std::vector<ValueId> output_grads,
                       std::vector<bool> wanted)
    : b(builder),
      node(forward),
      output_grads_(std::move(output_grads)),
      wanted_(std::move(wanted)),
      grads_(forward.inputs.size(), kNoValue) {}

void VjpContext::set_grad(std::size_t i, ValueId grad) {
  assert(i < grads_.size());
  if (b.graph().shape(grad) != in_shape(i)) {
    fail("gradient of input {} of '{}' ({}) has shape {}, the input has {}", i, node.name, node.op->name,
         b.graph().shape(grad), in_shape(i));
  }
  grads_[i] = grad;
}

ValueId LowerContext::add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs) const {
  return b.add(op, std::move(inputs), std::move(attrs), fmt::format("{}/{}", node.name, op));
}

ValueId LowerContext::reshape(ValueId src, Dims shape) const {
  if (b.graph().shape(src).dims() == shape) return src;
  return add("Reshape", {src}, {{"shape", std::move(shape)}, {"allowzero", int64_t{1}}});
}

ValueId LowerContext::number(ValueId src, double value) const {
  return b.constant(HostTensor::scalar(b.graph().type(src).dtype, value), node.name + "/constant");
}

OpTable::OpTable(std::vector<std::span<const OpDef>> families) {
  for (const auto& family : families) {
    for (const OpDef& op : family) all_.push_back(&op);
  }
  std::sort(all_.begin(), all_.end(), [](const OpDef* a, const OpDef* b) { return a->name < b->name; });
  const auto twin =
      std::adjacent_find(all_.begin(), all_.end(), [](const OpDef* a, const OpDef* b) { return a->name == b->name; });
  if (twin != all_.end()) fail("op '{}' is defined twice", (*twin)->name);
}

const OpDef* OpTable::find(std::string_view name) const {
  const auto it = std::lower_bound(all_.begin(), all_.end(), name,
                                   [](const OpDef* op, std::string_view n) { return op->name < n; });
  return it != all_.end() && (*it)->name == name ? *it : nullptr;
}

void complete_attrs(const OpDef& op, Attrs& attrs) {
  for (const auto& [name, value] : attrs.all()) {
    const auto spec =
        std::find_if(op.attrs.begin(), op.attrs.end(), [&name = name](const AttrSpec& s) { return s.name == name; });
    if (spec == op.attrs.end()) fail("{} has no attribute '{}'", op.name, name);
    const auto kind = static_cast<AttrKind>(value.index());
    if (kind != spec->kind) {
      fail("attribute '{}' is {}, expected {}", name, to_string(kind), to_string(spec->kind));
    }
  }
  for (const AttrSpec& spec : op.attrs) {
    if (attrs.has(spec.name)) continue;
    if (spec.is_required) fail("attribute '{}' is missing", spec.name);
    if (spec.default_value) attrs.set(spec.name, *spec.default_value);
  }
}

namespace {

void check_inputs(const OpDef& op, const std::vector<bool>& given) {
  const auto count = static_cast<int>(given.size());
  if (count < op.min_inputs || count > op.max_inputs) {
    fail("{} inputs given, {} expected", count,
         op.min_inputs == op.max_inputs ? fmt::format("{}", op.min_inputs)
                                        : fmt::format("{} to {}", op.min_inputs, op.max_inputs));
  }
  for (int i = 0; i < op.min_inputs; ++i) {
    if (!given[static_cast<std::size_t>(i)]) fail("input {} is missing", i);
  }
}

}  // namespace

std::vector<ValueId> lower(GraphBuilder& builder, const Node& node, std::size_t outputs_wanted) {
  if (node.op->lower == nullptr) return {};
  try {
    std::vector<bool> given;
    for (const ValueId id : node.inputs) given.push_back(id.valid());
    check_inputs(*node.op, given);
    const std::size_t before = builder.graph().nodes.size();
    LowerContext ctx{.b = builder, .node = node, .outputs_wanted = outputs_wanted};
    std::vector<ValueId> outputs = node.op->lower(ctx);
    // The last part stands for the whole.
    if (builder.graph().nodes.size() > before) builder.graph().nodes.back().name = node.name;
    return outputs;
  } catch (const Error& error) {
    throw error.within(fmt::format("node '{}' ({})", node.name, node.op->name));
  }
}

std::vector<TensorType> infer_types(const OpDef& op, const Attrs& attrs, const std::vector<const TensorType*>& inputs,
                                    const std::string& what) {
  try {
    std::vector<bool> given;
    for (const TensorType* type : inputs) given.push_back(type != nullptr);
    check_inputs(op, given);
    if (op.infer == nullptr) fail("is made of other ops and can't stand for itself");
    InferContext ctx{.attrs = attrs, .inputs = inputs, .outputs = {}};
    op.infer(ctx);
    return std::move(ctx.outputs);
  } catch (const Error& error) {
    throw error.within(fmt::format("node '{}' ({})", what, op.name));
  }
}

std::vector<HostTensor> evaluate_reference(const OpDef& op, const Attrs& attrs,
                                           const std::vector<const HostTensor*>& inputs) {
  std::vector<TensorType> types(inputs.size());
  std::vector<const TensorType*> type_pointers(inputs.size(), nullptr);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == nullptr) continue;
    types[i] = {inputs[i]->dtype, inputs[i]->shape};
    type_pointers[i] = &types[i];
  }
  ReferenceContext ctx{.attrs = attrs, .inputs = inputs, .outputs = {}};
  for (const TensorType& type : infer_types(op, attrs, type_pointers, std::string(op.name))) {
    ctx.outputs.emplace_back(type.dtype, type.shape);
  }
  op.reference(ctx);
  return std::move(ctx.outputs);
}

}  // namespace hourglass
