// Makes small ONNX files for tests, right ones and wrong ones.
//
//   ModelMaker m;                                    // opset 13, ir_version 7
//   m.input("x", {1, 3, -1, -1});                    // -1: open
//   m.floats("w", {4, 3, 1, 1});
//   m.node("Conv", {"x", "w"}, {"y"});
//   m.output("y");
//   import_onnx(m.bytes(), "m.onnx", op_table(), {.height = 8, .width = 8});
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace hourglass::test {

class ModelMaker {
 public:
  explicit ModelMaker(int opset = 13) {
    model.set_ir_version(7);
    model.mutable_graph()->set_name("test");
    auto* import = model.add_opset_import();
    import->set_domain("");
    import->set_version(opset);
  }

  void input(const std::string& name, const std::vector<int64_t>& dims, int type = onnx::TensorProto::FLOAT) {
    describe(*model.mutable_graph()->add_input(), name, dims, type);
  }
  void output(const std::string& name) {
    describe(*model.mutable_graph()->add_output(), name, {-1, -1, -1, -1}, onnx::TensorProto::FLOAT);
  }

  // An initializer of float elements 0.5, 1.5, 2.5, ...
  onnx::TensorProto& floats(const std::string& name, const std::vector<int64_t>& dims) {
    auto& tensor = empty(name, dims, onnx::TensorProto::FLOAT);
    int64_t count = 1;
    for (const int64_t dim : dims) count *= dim;
    for (int64_t i = 0; i < count; ++i) tensor.add_float_data(static_cast<float>(i) + 0.5f);
    return tensor;
  }
  onnx::TensorProto& ints(const std::string& name, const std::vector<int64_t>& values) {
    auto& tensor = empty(name, {static_cast<int64_t>(values.size())}, onnx::TensorProto::INT64);
    for (const int64_t value : values) tensor.add_int64_data(value);
    return tensor;
  }
  onnx::TensorProto& empty(const std::string& name, const std::vector<int64_t>& dims, int type) {
    auto& tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const int64_t dim : dims) tensor.add_dims(dim);
    return tensor;
  }

  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs, const std::string& name = {}) {
    auto& node = *model.mutable_graph()->add_node();
    node.set_op_type(op);
    node.set_name(name);
    for (const auto& in : inputs) node.add_input(in);
    for (const auto& out : outputs) node.add_output(out);
    return node;
  }
  static void attr(onnx::NodeProto& node, const std::string& name, int64_t value) {
    auto& attr = *node.add_attribute();
    attr.set_name(name);
    attr.set_type(onnx::AttributeProto::INT);
    attr.set_i(value);
  }
  static void attr(onnx::NodeProto& node, const std::string& name, float value) {
    auto& attr = *node.add_attribute();
    attr.set_name(name);
    attr.set_type(onnx::AttributeProto::FLOAT);
    attr.set_f(value);
  }
  static void attr(onnx::NodeProto& node, const std::string& name, const std::string& value) {
    auto& attr = *node.add_attribute();
    attr.set_name(name);
    attr.set_type(onnx::AttributeProto::STRING);
    attr.set_s(value);
  }
  static void attr(onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values) {
    auto& attr = *node.add_attribute();
    attr.set_name(name);
    attr.set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : values) attr.add_ints(value);
  }

  [[nodiscard]] std::string bytes() const { return model.SerializeAsString(); }

  onnx::ModelProto model;

 private:
  static void describe(onnx::ValueInfoProto& info, const std::string& name, const std::vector<int64_t>& dims,
                       int type) {
    info.set_name(name);
    auto* tensor = info.mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    auto* shape = tensor->mutable_shape();
    for (const int64_t dim : dims) {
      auto* d = shape->add_dim();
      if (dim >= 0) d->set_dim_value(dim);
    }
  }
};

// x [1,3,H,W] -> Conv 1x1 with 4 channels -> LeakyRelu -> y
inline ModelMaker small_model() {
  ModelMaker m;
  m.input("x", {1, 3, -1, -1});
  m.floats("w", {4, 3, 1, 1});
  m.node("Conv", {"x", "w"}, {"h"}, "conv");
  ModelMaker::attr(m.node("LeakyRelu", {"h"}, {"y"}, "act"), "alpha", 0.2f);
  m.output("y");
  return m;
}

}  // namespace hourglass::test
