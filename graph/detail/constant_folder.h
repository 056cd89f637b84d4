// Computes at import what does not depend on the image: shapes, and whatever a file computes of its constants. Keeps
// that within bounds of size and time. Internal to graph/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/error.h"
#include "graph/op.h"

namespace hourglass {

// Throws Error for what is larger than a fit may compute.
void check_size(const TensorType& type);

class ConstantFolder {
 public:
  // `graph` may grow meanwhile.
  explicit ConstantFolder(const Graph& graph) : graph_(graph) {}

  // The types of a node's outputs. Throws Error where one is larger than what a fit may compute.
  [[nodiscard]] std::vector<TensorType> types_of(const Node& node) const;

  // The outputs' values, if the inputs are known. Nothing when the node has to stay one. Throws Error.
  [[nodiscard]] std::optional<std::vector<HostTensor>> fold(const Node& node);

  // The value of something that must not depend on the image: a constant, an initializer, or what is computed from
  // initializers alone. Throws Error.
  [[nodiscard]] std::shared_ptr<const HostTensor> known_value(ValueId wanted);

  // The same tensor everywhere. Throws Error for one that is too large.
  [[nodiscard]] std::shared_ptr<const HostTensor> filled(const Shape& shape, double value);

 private:
  void count(const std::vector<TensorType>& types);
  // Takes a node's work off what may be done at import.
  bool affords(const Node& node, const std::vector<TensorType>& outputs);

  const Graph& graph_;
  int64_t folded_ = 0;  // elements
  double work_ = 0;     // multiply-adds
};

// Whether the node makes weights of what a file keeps in a byte each, and of scales for them: what it folds to is a
// parameter that starts at what these stand for.
inline bool makes_weights(const Node& node) { return node.op->name == "DequantizeLinear"; }

// A tensor as the attribute that an op declares. Throws Error for one that can't be.
AttrValue to_attr(const HostTensor& tensor, AttrKind kind);

// What a Constant node holds. Throws Error.
std::shared_ptr<const HostTensor> constant_of(const Attrs& attrs);

// Calls `function`, whose errors name the node as add_node's do too: once is enough.
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

}  // namespace hourglass
