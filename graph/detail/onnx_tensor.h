// TensorProto <-> HostTensor, and attributes to theirs. Internal to graph/: the only header there that knows protobuf's
// types, by name only.
#pragma once

#include <filesystem>
#include <optional>

#include "graph/attrs.h"
#include "graph/tensor.h"

namespace onnx {
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace hourglass {

// Reads raw and typed data; wider or narrower integers than the IR has become i64. Checks the amount of data before
// anything is allocated. Throws Error without the tensor's name.
HostTensor tensor_from_onnx(const onnx::TensorProto& proto);

// Where a tensor's external data lies.
struct ExternalData {
  std::filesystem::path path;
  uint64_t offset = 0, length = 0;
};

// Nothing for a tensor that has its data in it. `folder` empty: refuses.
std::optional<ExternalData> find_external_data(const onnx::TensorProto& proto, const std::filesystem::path& folder);

// Moves it into the proto.
void load_external_data(onnx::TensorProto& proto, const std::filesystem::path& folder);

void tensor_to_onnx(const HostTensor& tensor, onnx::TensorProto& proto);
void write_attribute(const std::string& name, const AttrValue& value, onnx::NodeProto& node);

// onnx::TensorProto::DataType <-> DType; the former throws Error for what is not supported.
DType dtype_from_onnx(int data_type);
int dtype_to_onnx(DType dtype);

}  // namespace hourglass
