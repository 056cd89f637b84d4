// If and Loop: what runs is known once the image's size is, so the graph gets the branch that is taken, and every
// iteration. What the exporters of PyTorch write for a check of shapes, or a loop over windows, is of that kind.
#include <algorithm>
#include <limits>

#include "graph/detail/onnx_binder.h"
#include "graph/error.h"
#include "graph/text.h"

namespace hourglass {
namespace {

const OnnxSubgraph& subgraph_of(const OnnxNode& node, const std::string& name) {
  const auto it = node.subgraphs.find(name);
  if (it == node.subgraphs.end()) fail("has no '{}'", name);
  return *it->second;
}

}  // namespace

bool Binder::add_control_flow(const OnnxNode& node, const std::vector<ValueId>& inputs) {
  if (node.op != "If" && node.op != "Loop") return false;
  const std::size_t before = graph_.values.size();
  std::vector<ValueId> outputs = node.op == "If" ? add_if(node, inputs) : add_loop(node, inputs);
  if (outputs.size() < node.outputs.size()) {
    fail("has {} outputs, what it runs has {}", node.outputs.size(), outputs.size());
  }
  outputs.resize(node.outputs.size());
  name_outputs(node.outputs, outputs, before);
  if (report_ != nullptr && scopes_.size() == 1) {
    report_->folded = std::all_of(outputs.begin(), outputs.end(), [&](ValueId id) {
      return id.valid() && graph_.value(id).kind == ValueKind::constant;
    });
  }
  return true;
}

bool Binder::is_true(ValueId id) {
  const std::shared_ptr<const HostTensor> value = folder_.known_value(id);
  if (value->shape.elements() != 1) fail("has shape {}, expected one element", value->shape);
  return value->values[0] != 0;
}

std::vector<ValueId> Binder::add_if(const OnnxNode& node, const std::vector<ValueId>& inputs) {
  if (inputs.size() != 1 || !inputs[0].valid()) fail("has {} inputs, expected a condition", inputs.size());
  bool is_taken = false;
  try {
    is_taken = is_true(inputs[0]);
  } catch (const Error& error) {
    throw error.within(fmt::format("condition ({})", graph_.value(inputs[0]).name));
  }
  return add_subgraph(subgraph_of(node, is_taken ? "then_branch" : "else_branch"), node_name(node) + "/", {});
}

// Its inputs are the trip count, the condition and what is carried from iteration to iteration; the body's the number
// of the iteration, the condition and what is carried. The body's outputs are the condition of the next iteration, what
// is carried, and what each iteration adds to the outputs that are stacked.
std::vector<ValueId> Binder::add_loop(const OnnxNode& node, const std::vector<ValueId>& inputs) {
  const OnnxSubgraph& body = subgraph_of(node, "body");
  constexpr std::size_t kBeforeCarried = 2;
  if (inputs.size() < kBeforeCarried || body.inputs.size() != inputs.size() ||
      body.outputs.size() + 1 < inputs.size()) {
    fail("has {} inputs, its body {} inputs and {} outputs", inputs.size(), body.inputs.size(), body.outputs.size());
  }
  int64_t trips = std::numeric_limits<int64_t>::max();
  bool goes_on = true;
  try {
    if (inputs[0].valid()) trips = std::get<int64_t>(to_attr(*folder_.known_value(inputs[0]), AttrKind::integer));
    if (inputs[1].valid()) goes_on = is_true(inputs[1]);
  } catch (const Error& error) {
    throw error.within("its trip count or condition");
  }
  std::vector<ValueId> carried(inputs.begin() + kBeforeCarried, inputs.end());
  std::vector<std::vector<ValueId>> stacked(body.outputs.size() - 1 - carried.size());
  bool failed = false;
  for (int64_t i = 0; i < trips && goes_on && !failed; ++i) {
    std::vector<ValueId> arguments{
        builder().constant(HostTensor::scalar(DType::i64, static_cast<double>(i)), node_name(node) + "/iteration"),
        builder().constant(HostTensor::scalar(DType::boolean, 1), node_name(node) + "/condition")};
    arguments.insert(arguments.end(), carried.begin(), carried.end());
    const std::vector<ValueId> made = add_subgraph(body, fmt::format("{}/{}/", node_name(node), i), arguments);
    failed = std::any_of(made.begin(), made.end(), [](ValueId id) { return !id.valid(); });
    if (!failed) {
      try {
        goes_on = is_true(made[0]);
      } catch (const Error& error) {
        throw error.within(fmt::format("whether it goes on after iteration {}", i));
      }
    }
    for (std::size_t k = 0; k < carried.size(); ++k) carried[k] = made[1 + k];
    for (std::size_t k = 0; k < stacked.size(); ++k) stacked[k].push_back(made[1 + carried.size() + k]);
  }
  std::vector<ValueId> outputs = std::move(carried);
  if (failed) outputs.assign(outputs.size(), kNoValue);
  for (std::size_t k = 0; k < stacked.size(); ++k) {
    outputs.push_back(failed ? kNoValue : stack(stacked[k], node_name(node)));
  }
  return outputs;
}

std::vector<ValueId> Binder::add_subgraph(const OnnxSubgraph& subgraph, const std::string& prefix,
                                          const std::vector<ValueId>& inputs) {
  written_out_ += static_cast<int64_t>(subgraph.nodes.size() + subgraph.initializers.size() + subgraph.inputs.size() +
                                       subgraph.outputs.size()) +
                  1;
  if (written_out_ > kMaxNodes) fail("its iterations have more than {} nodes and names in all", kMaxNodes);
  if (prefix.size() > kLongestPrefix) fail("a name of {} characters is too long to call others after", prefix.size());
  scopes_.push_back({.prefix = prefix, .names = {}});
  for (std::size_t i = 0; i < inputs.size(); ++i) define(subgraph.inputs[i], inputs[i]);
  try {
    for (const auto& [name, data] : subgraph.initializers) add_initializer(name, data);
    for (const OnnxNode& node : subgraph.nodes) {
      if (const std::vector<std::string> reasons = reasons_of(node); !reasons.empty()) {
        refuse(node, join(reasons, "; "));
        give_up(node);
      } else {
        add_node(node);
      }
    }
    std::vector<ValueId> outputs;
    for (const std::string& name : subgraph.outputs) {
      const ValueId* id = find(name);
      if (id == nullptr) fail("its output '{}' is not computed by any node", name);
      outputs.push_back(*id);
    }
    scopes_.pop_back();
    return outputs;
  } catch (const Error&) {
    scopes_.pop_back();
    throw;
  }
}

// Along a new first axis.
ValueId Binder::stack(const std::vector<ValueId>& values, const std::string& name) {
  if (values.empty()) fail("runs no iteration, so that its stacked outputs are empty");
  const auto add = [&](std::string_view op, std::vector<ValueId> inputs, Attrs attrs) {
    const std::string made = builder().unique_name(fmt::format("{}/{}", name, op));
    Node node{
        .op = table_.find(op), .name = made, .attrs = std::move(attrs), .inputs = std::move(inputs), .outputs = {}};
    complete_attrs(*node.op, node.attrs);
    if (!fold(node, {made})) append(node, {made});
    return *find(made);
  };
  std::vector<ValueId> rows;
  for (const ValueId value : values) rows.push_back(add("Unsqueeze", {value}, {{"axes", Dims{0}}}));
  return add("Concat", std::move(rows), {{"axis", int64_t{0}}});
}

}  // namespace hourglass
