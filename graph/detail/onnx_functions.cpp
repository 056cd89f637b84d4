// Functions of the file's own, put in their callers' places (graph/detail/onnx_proto.h).
#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "graph/detail/onnx_model.h"
#include "graph/detail/onnx_proto.h"
#include "graph/error.h"

namespace hourglass {
namespace {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using Names = std::unordered_map<std::string, std::string>;

// Functions that call functions, ...
constexpr int kDeepest = 64;

// As much as a file in itself may hold.
constexpr uint64_t kMaxWrittenOutBytes = uint64_t{1} << 31;

// Of ONNX's own domain; 0 for one that says none.
template <typename Proto>
int64_t opset_of(const Proto& proto) {
  int64_t opset = 0;
  for (const auto& import : proto.opset_import()) {
    if (import.domain().empty()) opset = std::max<int64_t>(opset, import.version());
  }
  return opset;
}

// The defaults of a function's attributes, which older versions of ONNX don't know.
template <typename Function>
const onnx::AttributeProto* default_of(const Function& function, const std::string& name) {
  if constexpr (requires { function.attribute_proto(); }) {
    for (const auto& attr : function.attribute_proto()) {
      if (attr.name() == name) return &attr;
    }
  }
  return nullptr;
}

class Inliner {
 public:
  explicit Inliner(onnx::ModelProto& proto) : opset_(opset_of(proto)) {
    for (const auto& function : proto.functions()) functions_[{function.domain(), function.name()}] = &function;
    take_names(proto.graph());
  }

  void expand(Nodes& nodes, int depth = 0) {
    Nodes expanded;
    for (auto& node : nodes) {
      if (++count_ > kMaxNodes) fail("has more than {} nodes, once its functions are written out", kMaxNodes);
      for (auto& attr : *node.mutable_attribute()) {
        if (attr.has_g()) expand(*attr.mutable_g()->mutable_node(), depth);
      }
      const auto it = functions_.find({node.domain(), node.op_type()});
      if (it == functions_.end()) {
        expanded.Add()->Swap(&node);
        continue;
      }
      if (depth == kDeepest) fail("function '{}' calls itself, or functions too deeply", node.op_type());
      Nodes body = body_of(*it->second, node);
      expand(body, depth + 1);
      for (auto& part : body) expanded.Add()->Swap(&part);
    }
    nodes.Swap(&expanded);
  }

 private:
  // What the graph and its subgraphs call their values.
  void take_names(const onnx::GraphProto& graph) {
    for (const auto& tensor : graph.initializer()) taken_.emplace(tensor.name(), 1);
    for (const auto& info : graph.input()) taken_.emplace(info.name(), 1);
    for (const auto& node : graph.node()) {
      for (const std::string& name : node.output()) taken_.emplace(name, 1);
      for (const auto& attr : node.attribute()) {
        if (attr.has_g()) take_names(attr.g());
      }
    }
  }

  std::string fresh(const std::string& name) {
    count_bytes(name.size());
    const auto [it, is_new] = taken_.emplace(name, 1);
    if (is_new) return name;
    for (;;) {
      std::string numbered = fmt::format("{}_{}", name, ++it->second);
      if (taken_.emplace(numbered, 1).second) return numbered;
    }
  }

  void count_bytes(uint64_t bytes) {
    bytes_ += bytes;
    if (bytes_ > kMaxWrittenOutBytes)
      fail("is larger than {} MiB, once its functions are written out", kMaxWrittenOutBytes >> 20);
  }

  // The function's nodes, as this node calls it.
  Nodes body_of(const onnx::FunctionProto& function, const onnx::NodeProto& call) {
    check_opset(function);
    if (call.input_size() > function.input_size() || call.output_size() > function.output_size()) {
      fail("node '{}' ({}) has {} inputs and {} outputs, its function {} and {}", call.name(), call.op_type(),
           call.input_size(), call.output_size(), function.input_size(), function.output_size());
    }
    const std::string prefix = (call.name().empty() ? call.op_type() : call.name()) + "/";
    if (prefix.size() > kLongestPrefix) fail("a name of {} characters is too long to call others after", prefix.size());
    Names names;
    for (int i = 0; i < function.input_size(); ++i) {
      names[function.input(i)] = i < call.input_size() ? call.input(i) : std::string();
    }
    count_bytes(function.ByteSizeLong());
    Nodes body = function.node(), copies;
    for (int i = 0; i < call.output_size(); ++i) {
      const auto [it, is_computed] = names.emplace(function.output(i), call.output(i));
      if (is_computed || call.output(i).empty()) continue;
      // An input that the function passes on.
      auto& copy = *copies.Add();
      copy.set_op_type("Identity");
      copy.set_name(prefix + function.output(i));
      copy.add_input(it->second);
      copy.add_output(call.output(i));
    }
    for (auto& node : body) {
      for (const std::string& name : node.output()) {
        // Also for an output that the caller leaves out.
        if (std::string& outer = names[name]; outer.empty() && !name.empty()) outer = fresh(prefix + name);
      }
      node.set_name(prefix + (node.name().empty() ? node.op_type() : node.name()));
      rename(node, names, prefix);
      resolve_attributes(node, function, call);
    }
    for (auto& copy : copies) body.Add()->Swap(&copy);
    return body;
  }

  // Ops must mean the same in the function as in the model. What the installed ONNX does not know is believed.
  void check_opset(const onnx::FunctionProto& function) const {
    const int64_t opset = opset_of(function);
    if (opset == 0 || opset == opset_) return;
    for (const auto& node : function.node()) {
      if (!node.domain().empty()) continue;
      const auto since = [&](int64_t version) {
        const auto* schema = onnx::OpSchemaRegistry::Schema(node.op_type(), static_cast<int>(version), "");
        return schema == nullptr ? 0 : schema->SinceVersion();
      };
      if (since(opset) == since(opset_)) continue;
      fail("function '{}' is written for opset {}, in which {} is another than in the model's {}", function.name(),
           opset, node.op_type(), opset_);
    }
  }

  static void rename(std::string& name, const Names& names) {
    if (const auto it = names.find(name); it != names.end()) name = it->second;
  }

  // In the node and in its subgraphs, whose own names become fresh ones: the caller may use them too.
  void rename(onnx::NodeProto& node, Names& names, const std::string& prefix) {
    for (std::string& name : *node.mutable_input()) rename(name, names);
    for (std::string& name : *node.mutable_output()) rename(name, names);
    for (auto& attr : *node.mutable_attribute()) {
      if (attr.has_g()) rename(*attr.mutable_g(), names, prefix);
    }
  }

  void rename(onnx::GraphProto& graph, Names& names, const std::string& prefix) {
    // What the graph's own names mean around it, if anything.
    std::unordered_map<std::string, std::optional<std::string>> shadowed;
    const auto own = [&](const std::string& name) {
      if (name.empty() || shadowed.contains(name)) return;
      const auto [it, is_new] = names.try_emplace(name);
      shadowed.emplace(name, is_new ? std::nullopt : std::optional(std::move(it->second)));
      it->second = fresh(prefix + name);
    };
    for (const auto& info : graph.input()) own(info.name());
    for (const auto& tensor : graph.initializer()) own(tensor.name());
    for (const auto& node : graph.node()) {
      for (const std::string& name : node.output()) own(name);
    }
    for (auto& info : *graph.mutable_input()) rename(*info.mutable_name(), names);
    for (auto& tensor : *graph.mutable_initializer()) rename(*tensor.mutable_name(), names);
    for (auto& node : *graph.mutable_node()) rename(node, names, prefix);
    for (auto& info : *graph.mutable_output()) rename(*info.mutable_name(), names);
    for (auto& [name, meaning] : shadowed) {
      if (meaning) {
        names[name] = std::move(*meaning);
      } else {
        names.erase(name);
      }
    }
  }

  // Attributes that refer to the function's own.
  void resolve_attributes(onnx::NodeProto& node, const onnx::FunctionProto& function, const onnx::NodeProto& call) {
    google::protobuf::RepeatedPtrField<onnx::AttributeProto> resolved;
    for (auto& attr : *node.mutable_attribute()) {
      if (attr.has_g()) {
        for (auto& inner : *attr.mutable_g()->mutable_node()) resolve_attributes(inner, function, call);
      }
      if (!attr.has_ref_attr_name()) {
        resolved.Add()->Swap(&attr);
        continue;
      }
      const onnx::AttributeProto* given = default_of(function, attr.ref_attr_name());
      for (const auto& own : call.attribute()) {
        if (own.name() == attr.ref_attr_name()) given = &own;
      }
      if (given == nullptr) continue;  // the op's own default
      count_bytes(given->ByteSizeLong());
      auto& copy = *resolved.Add();
      copy = *given;
      copy.set_name(attr.name());
    }
    node.mutable_attribute()->Swap(&resolved);
  }

  std::map<std::pair<std::string, std::string>, const onnx::FunctionProto*> functions_;
  std::map<std::string, int> taken_;  // names of values, and the last number behind each
  int64_t opset_;
  int64_t count_ = 0;   // of nodes
  uint64_t bytes_ = 0;  // of what is copied
};

}  // namespace

void inline_functions(onnx::ModelProto& proto) {
  if (proto.functions_size() == 0) return;
  Inliner(proto).expand(*proto.mutable_graph()->mutable_node());
  proto.clear_functions();
}

}  // namespace hourglass
