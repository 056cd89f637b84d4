#include "graph/evaluate.h"

#include "graph/error.h"
#include "graph/op.h"

namespace hourglass {

std::vector<HostTensor> evaluate(const Graph& graph, const std::map<ValueId, HostTensor>& given,
                                 const std::vector<ValueId>& wanted) {
  std::map<ValueId, HostTensor> computed;
  const auto find = [&](ValueId id) -> const HostTensor* {
    if (!id.valid()) return nullptr;
    if (const auto it = computed.find(id); it != computed.end()) return &it->second;
    if (const auto it = given.find(id); it != given.end()) return &it->second;
    const Value& value = graph.value(id);
    if (value.data == nullptr) fail("value '{}' is not given", value.name);
    return value.data.get();
  };
  const auto compute = [&](const Node& node) {
    std::vector<const HostTensor*> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(find(id));
    std::vector<HostTensor> outputs = evaluate_reference(*node.op, node.attrs, inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) computed[node.outputs[i]] = std::move(outputs[i]);
  };
  for (const Node& node : graph.nodes) {
    if (node.body.empty()) compute(node);
    for (const Node& part : node.body) compute(part);
  }
  std::vector<HostTensor> result;
  for (const ValueId id : wanted) result.push_back(*find(id));
  return result;
}

}  // namespace hourglass
