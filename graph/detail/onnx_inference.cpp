#include "graph/detail/onnx_inference.h"

#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include "graph/detail/onnx_tensor.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// Constants that say shapes and axes; weights are not needed.
constexpr int64_t kMostElements = 1024;

// A model of that one node; its inputs and outputs are called "i0", "o0" and so on.
onnx::ModelProto model_of(const OnnxNode& node, int opset, const std::vector<const Value*>& inputs) {
  onnx::ModelProto model;
  model.set_ir_version(onnx::Version::IR_VERSION);
  auto& import = *model.add_opset_import();
  import.set_domain("");
  import.set_version(opset);
  onnx::GraphProto& graph = *model.mutable_graph();
  onnx::NodeProto& proto = *graph.add_node();
  proto.set_op_type(node.op);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = inputs[i] == nullptr ? std::string() : fmt::format("i{}", i);
    proto.add_input(name);
    if (inputs[i] == nullptr) continue;
    onnx::ValueInfoProto& info = *graph.add_input();
    info.set_name(name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(dtype_to_onnx(inputs[i]->type.dtype));
    auto& shape = *tensor.mutable_shape();
    for (const int64_t extent : inputs[i]->type.shape.dims()) shape.add_dim()->set_dim_value(extent);
    const bool is_known = inputs[i]->kind == ValueKind::constant && inputs[i]->type.shape.elements() <= kMostElements;
    if (!is_known) continue;
    onnx::TensorProto& data = *graph.add_initializer();
    data.set_name(name);
    tensor_to_onnx(*inputs[i]->data, data);
  }
  for (const auto& [name, value] : node.attrs.all()) write_attribute(name, value, proto);
  for (std::size_t o = 0; o < node.outputs.size(); ++o) {
    proto.add_output(node.outputs[o].empty() ? std::string() : fmt::format("o{}", o));
  }
  return model;
}

std::optional<TensorType> type_of(const onnx::TypeProto& type) {
  if (!type.has_tensor_type() || !type.tensor_type().has_shape()) return {};
  Dims dims;
  for (const auto& dim : type.tensor_type().shape().dim()) {
    if (!dim.has_dim_value()) return {};
    dims.push_back(dim.dim_value());
  }
  return TensorType{dtype_from_onnx(type.tensor_type().elem_type()), Shape(std::move(dims))};
}

}  // namespace

std::vector<std::optional<TensorType>> types_as_onnx_says(const OnnxNode& node, int opset,
                                                          const std::vector<const Value*>& inputs) {
  std::vector<std::optional<TensorType>> types(node.outputs.size());
  if (!node.domain.empty() || !node.subgraphs.empty()) return types;
  // ONNX throws several types; whatever it is, there is then nothing that it says.
  try {
    onnx::ModelProto model = model_of(node, opset, inputs);
    onnx::shape_inference::InferShapes(model);
    for (const auto& info : model.graph().value_info()) {
      for (std::size_t o = 0; o < types.size(); ++o) {
        if (info.name() == fmt::format("o{}", o)) types[o] = type_of(info.type());
      }
    }
  } catch (const std::exception&) {
    types.assign(types.size(), std::nullopt);
  }
  return types;
}

}  // namespace hourglass
