#include "graph/onnx_export.h"

#include <onnx/checker.h>
#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <unordered_set>

#include "graph/detail/onnx_model.h"
#include "graph/detail/onnx_tensor.h"
#include "graph/error.h"
#include "graph/op.h"

namespace hourglass {
namespace {

constexpr int kIrVersion = 7;       // came with opset 12, fits 14
constexpr int kNewerIrVersion = 8;  // came with opset 15, fits 16

// An attribute as the constant input that ONNX wants; `dtype` is that of the node's data.
HostTensor to_tensor(const AttrValue& value, DType dtype) {
  return std::visit(
      [&](const auto& v) -> HostTensor {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, int64_t>) {
          return HostTensor::scalar(DType::i64, static_cast<double>(v));
        } else if constexpr (std::is_same_v<T, double>) {
          return HostTensor::scalar(dtype, v);
        } else if constexpr (std::is_same_v<T, Dims>) {
          return HostTensor::ints(v);
        } else if constexpr (std::is_same_v<T, Floats>) {
          return {DType::f32, Shape{static_cast<int64_t>(v.size())}, v};
        } else if constexpr (std::is_same_v<T, std::shared_ptr<const HostTensor>>) {
          return *v;
        } else {
          fail("a string can't be a tensor");
        }
      },
      value);
}

bool is_default(const OpDef& op, const std::string& name, const AttrValue& value) {
  const auto spec = std::find_if(op.attrs.begin(), op.attrs.end(), [&](const AttrSpec& s) { return s.name == name; });
  return spec != op.attrs.end() && spec->default_value == value;
}

class Exporter {
 public:
  Exporter(const Graph& graph, const ExportOptions& options, int opset)
      : graph_(graph), options_(options), opset_(opset) {}

  // The ops of the domain "hourglass", by name.
  [[nodiscard]] const std::set<std::string>& own_ops() const { return own_ops_; }
  // Whether the newer opset has one of them.
  [[nodiscard]] bool newer_has_more() const { return newer_has_more_; }

  onnx::ModelProto run() {
    model_.set_ir_version(opset_ == kExportOpset ? kIrVersion : kNewerIrVersion);
    model_.set_producer_name("hourglass");
    if (!options_.description.empty()) model_.set_doc_string(options_.description);
    auto* opset = model_.add_opset_import();
    opset->set_domain("");
    opset->set_version(opset_);
    out_ = model_.mutable_graph();
    out_->set_name(graph_.name.empty() ? "graph" : graph_.name);

    for (const Value& value : graph_.values) names_.insert(value.name);
    used_.assign(graph_.values.size(), false);
    for (const Node& node : graph_.nodes) {
      for (const ValueId id : node.inputs) {
        if (id.valid()) used_[static_cast<std::size_t>(id.index)] = true;
      }
    }
    for (const ValueId id : graph_.outputs) used_[static_cast<std::size_t>(id.index)] = true;

    for (const ValueId id : graph_.inputs) write_info(id, *out_->add_input());
    for (const Value& value : graph_.values) {
      if (value.kind == ValueKind::parameter) write_parameter(value);
      if (value.kind == ValueKind::input && value.data) write_initializer(value.name, *value.data);
      if (value.kind == ValueKind::constant) write_constant(value);
    }
    for (const Node& node : graph_.nodes) {
      try {
        write_node(node);
      } catch (const Error& error) {
        throw error.within(fmt::format("node '{}' ({})", node.name, node.op->name));
      }
    }
    for (const ValueId id : graph_.outputs) write_info(id, *out_->add_output());
    if (!own_ops_.empty()) {
      auto* own = model_.add_opset_import();
      own->set_domain(std::string(kOwnDomain));
      own->set_version(1);
    }
    return std::move(model_);
  }

 private:
  void write_info(ValueId id, onnx::ValueInfoProto& info) const {
    const Value& value = graph_.value(id);
    info.set_name(value.name);
    auto* tensor = info.mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(dtype_to_onnx(value.type.dtype));
    auto* shape = tensor->mutable_shape();
    const bool open = options_.dynamic_size && value.type.shape.rank() == 4 && !graph_.inputs.empty();
    for (int axis = 0; axis < value.type.shape.rank(); ++axis) {
      auto* dim = shape->add_dim();
      if (open && axis >= 2) {
        // Another extent than the image's is left unsaid.
        const Shape& image = graph_.shape(graph_.inputs.front());
        if (image.rank() == 4 && value.type.shape[axis] == image[axis]) {
          dim->set_dim_param(axis == 2 ? "height" : "width");
        }
      } else {
        dim->set_dim_value(value.type.shape[axis]);
      }
    }
  }

  void write_parameter(const Value& value) {
    if (value.data != nullptr) return write_initializer(value.name, *value.data);
    if (value.init.kind == Init::Kind::values) fail("parameter '{}' has neither values nor a distribution", value.name);
    // ONNX's checker wants at least one number in RandomUniform's shape.
    if (value.type.shape.rank() == 0) fail("parameter '{}' is drawn and a scalar: give it the shape [1]", value.name);
    const bool uniform = value.init.kind == Init::Kind::uniform;
    auto* node = out_->add_node();
    node->set_name(value.name);
    node->set_op_type(uniform ? "RandomUniform" : "RandomNormal");
    node->add_output(value.name);
    if (value.type.dtype != DType::f32) write_attribute("dtype", int64_t{dtype_to_onnx(value.type.dtype)}, *node);
    write_attribute(uniform ? "high" : "mean", uniform ? value.init.high : value.init.mean, *node);
    write_attribute(uniform ? "low" : "scale", uniform ? value.init.low : value.init.stddev, *node);
    write_attribute("shape", value.type.shape.dims(), *node);
  }

  void write_constant(const Value& value) {
    auto* node = out_->add_node();
    node->set_name(value.name);
    node->set_op_type("Constant");
    node->add_output(value.name);
    write_attribute("value", value.data, *node);
  }

  void write_initializer(const std::string& name, const HostTensor& tensor) {
    auto* proto = out_->add_initializer();
    proto->set_name(name);
    try {
      tensor_to_onnx(tensor, *proto);
    } catch (const Error& error) {
      throw error.within(fmt::format("initializer '{}'", name));
    }
  }

  // Equal ones are written once: every Pad of a network has the same pads, every BatchNormalization the same unused
  // running statistics.
  std::string add_initializer(const Node& node, std::string_view hint, const HostTensor& tensor) {
    const auto same = std::find_if(shared_.begin(), shared_.end(), [&](const auto& entry) {
      return entry.second.dtype == tensor.dtype && entry.second.shape == tensor.shape &&
             entry.second.values == tensor.values;
    });
    if (same != shared_.end()) return same->first;
    std::string name = fmt::format("{}.{}", node.name, hint);
    while (!names_.insert(name).second) name += "_";
    write_initializer(name, tensor);
    shared_.emplace_back(name, tensor);
    return name;
  }

  // Takes the last ones back.
  void drop_initializers(std::size_t shared) {
    for (; shared_.size() > shared; shared_.pop_back()) out_->mutable_initializer()->RemoveLast();
  }

  void attrs_to_inputs(const Node& node, Attrs& attrs, std::vector<std::string>& inputs) {
    std::vector<ConstInput> slots;
    for (const ConstInput& slot : node.op->const_inputs) {
      if (slot.since <= opset_ && (slot.until == 0 || slot.until >= opset_)) slots.push_back(slot);
    }
    std::sort(slots.begin(), slots.end(), [](const ConstInput& a, const ConstInput& b) { return a.index < b.index; });
    const DType dtype = node.inputs.empty() || !node.inputs[0].valid() ? DType::f32 : graph_.type(node.inputs[0]).dtype;
    for (const ConstInput& slot : slots) {
      const std::string attr(slot.attr);
      if (inputs.size() < slot.index) inputs.resize(slot.index);
      std::string name;
      if (attrs.has(attr)) {
        const AttrValue& value = attrs.all().at(attr);
        if (!is_default(*node.op, attr, value)) name = add_initializer(node, attr, to_tensor(value, dtype));
        attrs.erase(attr);
      }
      inputs.insert(inputs.begin() + static_cast<std::ptrdiff_t>(slot.index), std::move(name));
    }
  }

  // Whether an opset has the op with these attributes (AveragePool's dilations came later, for one).
  static bool known_at(int opset, const Node& node, const std::string& op, const Attrs& attrs) {
    const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(op, opset, onnx::ONNX_DOMAIN);
    if (schema == nullptr) return false;
    return std::all_of(attrs.all().begin(), attrs.all().end(), [&](const auto& attr) {
      return is_default(*node.op, attr.first, attr.second) || schema->attributes().contains(attr.first);
    });
  }

  bool known_to_onnx(const Node& node, const std::string& op, const Attrs& attrs) {
    if (known_at(opset_, node, op, attrs)) return true;
    newer_has_more_ = newer_has_more_ || known_at(kNewerExportOpset, node, op, attrs);
    return false;
  }

  // The node in ONNX's own terms; false when it has none.
  bool to_onnx(const Node& node, std::string& op, Attrs& attrs, std::vector<std::string>& inputs,
               std::vector<std::string>& outputs) {
    if (node.op->internal && node.op->to_onnx == nullptr) return false;
    attrs_to_inputs(node, attrs, inputs);
    if (node.op->to_onnx == nullptr) return known_to_onnx(node, op, attrs);
    std::vector<bool> output_used;
    for (const ValueId id : node.outputs) output_used.push_back(used_[static_cast<std::size_t>(id.index)]);
    ToOnnxContext ctx{.graph = graph_,
                      .node = node,
                      .output_used = std::move(output_used),
                      .op = op,
                      .attrs = attrs,
                      .inputs = inputs,
                      .outputs = outputs,
                      .constant = [&](std::string_view hint, const HostTensor& tensor) {
                        return add_initializer(node, hint, tensor);
                      }};
    return node.op->to_onnx(ctx) && known_to_onnx(node, op, attrs);
  }

  void write_node(const Node& node) {
    const auto names_of = [&](const std::vector<ValueId>& ids) {
      std::vector<std::string> names;
      for (const ValueId id : ids) names.push_back(id.valid() ? graph_.value(id).name : std::string());
      return names;
    };
    std::string op(node.op->name);
    Attrs attrs = node.attrs;
    std::vector<std::string> inputs = names_of(node.inputs);
    std::vector<std::string> outputs = names_of(node.outputs);
    const std::size_t shared_before = shared_.size();
    const bool is_onnx = to_onnx(node, op, attrs, inputs, outputs);
    if (!is_onnx) {
      // As it was, without what the attempt has left.
      drop_initializers(shared_before);
      op = std::string(node.op->name);
      attrs = node.attrs;
      inputs = names_of(node.inputs);
      outputs = names_of(node.outputs);
      own_ops_.insert(op);
    }
    while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
    auto* proto = out_->add_node();
    proto->set_name(node.name);
    proto->set_op_type(op);
    if (!is_onnx) proto->set_domain(std::string(kOwnDomain));
    for (const std::string& name : inputs) proto->add_input(name);
    for (const std::string& name : outputs) proto->add_output(name);
    for (const auto& [name, value] : attrs.all()) {
      if (!is_default(*node.op, name, value)) write_attribute(name, value, *proto);
    }
    if (options_.dynamic_size) return;
    for (const ValueId id : node.outputs) {
      const std::string& name = graph_.value(id).name;
      const bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), id) != graph_.outputs.end();
      const bool written = std::find(outputs.begin(), outputs.end(), name) != outputs.end();
      if (written && !is_output) write_info(id, *out_->add_value_info());
    }
  }

  const Graph& graph_;
  const ExportOptions& options_;
  int opset_;
  onnx::ModelProto model_;
  onnx::GraphProto* out_ = nullptr;
  std::unordered_set<std::string> names_;
  std::vector<std::pair<std::string, HostTensor>> shared_;  // written by add_initializer, in order
  std::vector<bool> used_;
  std::set<std::string> own_ops_;
  bool newer_has_more_ = false;
};

}  // namespace

std::string export_onnx(const Graph& graph, const ExportOptions& options) {
  onnx::ModelProto model;
  std::set<std::string> own_ops;
  // The older opset, unless the newer one has more of the ops.
  for (const int opset : {kExportOpset, kNewerExportOpset}) {
    Exporter exporter(graph, options, opset);
    onnx::ModelProto made = exporter.run();
    if (opset != kExportOpset && exporter.own_ops().size() >= own_ops.size()) continue;
    model = std::move(made);
    own_ops = exporter.own_ops();
    if (!exporter.newer_has_more()) break;
  }
  if (options.own_ops != nullptr) options.own_ops->assign(own_ops.begin(), own_ops.end());
  try {
    onnx::checker::check_model(model);
  } catch (const std::exception& error) {
    fail("graph '{}' does not make a valid ONNX file: {}", graph.name, error.what());
  }
  std::string bytes;
  if (!model.SerializeToString(&bytes)) fail("graph '{}' is larger than an ONNX file can be, 2 GiB", graph.name);
  return bytes;
}

void write_onnx(const Graph& graph, const std::filesystem::path& path, const ExportOptions& options) {
  const std::string bytes = export_onnx(graph, options);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) fail("{}: can't be written", path.string());
}

}  // namespace hourglass
