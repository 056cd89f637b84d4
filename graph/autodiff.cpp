#include "graph/autodiff.h"

#include <algorithm>

#include "graph/detail/onnx_tensor.h"
#include "graph/error.h"
#include "graph/op.h"
#include "graph/text.h"

namespace hourglass {
namespace {

// Which values depend on one of the parameters.
std::vector<bool> reach_from(const Graph& graph, const std::vector<ValueId>& parameters) {
  std::vector<bool> reached(graph.values.size(), false);
  for (const ValueId id : parameters) reached[at(id)] = true;
  for (const Node& node : graph.nodes) {
    const bool any =
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return id.valid() && reached[at(id)]; });
    if (!any) continue;
    for (const ValueId id : node.outputs) reached[at(id)] = is_floating(graph.type(id).dtype);
  }
  return reached;
}

// What the loss depends on.
struct Behind {
  std::vector<bool> nodes, values;
};

Behind behind(const Graph& graph, ValueId loss) {
  Behind needed{std::vector<bool>(graph.nodes.size(), false), std::vector<bool>(graph.values.size(), false)};
  needed.values[at(loss)] = true;
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    needed.nodes[n] =
        std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) { return needed.values[at(id)]; });
    if (!needed.nodes[n]) continue;
    for (const ValueId id : node.inputs) {
      if (id.valid()) needed.values[at(id)] = true;
    }
  }
  return needed;
}

}  // namespace

Differentiated differentiate(const Graph& graph, const OpTable& table, ValueId loss,
                             const std::vector<ValueId>& parameters, std::vector<Refusal>* refusals) {
  if (graph.shape(loss).elements() != 1 || graph.type(loss).dtype != DType::f32) {
    fail("the loss '{}' must be one f32 element, it is {}:{}", graph.value(loss).name, graph.type(loss).dtype,
         graph.shape(loss));
  }
  const std::vector<bool> reached = reach_from(graph, parameters);
  const Behind needed = behind(graph, loss);

  std::vector<Refusal> found;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const bool on_path = needed.nodes[n] && std::any_of(node.outputs.begin(), node.outputs.end(),
                                                        [&](ValueId id) { return reached[at(id)]; });
    if (on_path && node.op->vjp == nullptr) {
      const std::string_view reason = node.op->no_gradient.empty() ? "has no gradient rule" : node.op->no_gradient;
      found.push_back({node.name, std::string(node.op->name), std::string(reason)});
    }
  }

  Differentiated result{.graph = graph, .loss = loss, .gradients = {}};
  Graph& out = result.graph;
  GraphBuilder builder(out, table);

  // What has flowed back to each value so far: the terms are added up when its producer is visited.
  std::vector<std::vector<ValueId>> terms(graph.values.size());
  const auto total = [&](ValueId id) -> ValueId {
    auto& parts = terms[at(id)];
    if (parts.empty()) return kNoValue;
    // A bf16 value's gradient may come in f32 from one reader (Conv's weights) and in bf16 from another: sum in f32.
    const bool any_f32 =
        std::any_of(parts.begin(), parts.end(), [&](ValueId part) { return out.type(part).dtype == DType::f32; });
    for (ValueId& part : parts) {
      if (!any_f32 || out.type(part).dtype == DType::f32) continue;
      part = builder.add("Cast", {part}, {{"to", int64_t{dtype_to_onnx(DType::f32)}}}, out.value(part).name + "/f32");
    }
    ValueId sum = parts.front();
    for (std::size_t i = 1; i < parts.size(); ++i) {
      sum = builder.add("Add", {sum, parts[i]}, {}, "grad/" + graph.value(id).name + "/sum");
    }
    parts = {sum};
    return sum;
  };

  HostTensor one(DType::f32, graph.shape(loss));
  one.values[0] = 1;
  terms[at(loss)].push_back(builder.constant(std::move(one), "grad/" + graph.value(loss).name));

  std::vector<std::string> ends;  // the nodes at which gradients end, since theirs is zero everywhere
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    if (!needed.nodes[n]) continue;
    const Node& node = graph.nodes[n];
    // Whole numbers and truth values that are made of floating ones.
    const bool cuts = std::any_of(node.inputs.begin(), node.inputs.end(),
                                  [&](ValueId id) { return id.valid() && reached[at(id)]; }) &&
                      std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
                        return needed.values[at(id)] && !is_floating(graph.type(id).dtype);
                      });
    if (cuts) ends.push_back(fmt::format("'{}' ({})", node.name, node.op->name));
    std::vector<ValueId> output_grads;
    bool any = false;
    for (const ValueId id : node.outputs) {
      output_grads.push_back(reached[at(id)] ? total(id) : kNoValue);
      any = any || output_grads.back().valid();
    }
    if (!any) continue;
    std::vector<bool> wanted;
    for (const ValueId id : node.inputs) wanted.push_back(id.valid() && reached[at(id)]);
    if (std::none_of(wanted.begin(), wanted.end(), [](bool w) { return w; })) continue;
    if (node.op->vjp == nullptr) continue;  // found above
    VjpContext ctx(builder, node, std::move(output_grads), wanted);
    try {
      node.op->vjp(ctx);
    } catch (const Error& error) {
      found.push_back({node.name, std::string(node.op->name), fmt::format("its gradient: {}", error.what())});
      continue;
    }
    bool passes_on = false;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!wanted[i] || !ctx.grads()[i].valid()) continue;
      terms[at(node.inputs[i])].push_back(ctx.grads()[i]);
      passes_on = true;
    }
    if (!passes_on && !cuts) ends.push_back(fmt::format("'{}' ({})", node.name, node.op->name));
  }
  if (!found.empty() && refusals == nullptr) {
    std::vector<std::string> texts;
    for (const Refusal& r : found) texts.push_back(fmt::format("node '{}' ({}): {}", r.node, r.op, r.reason));
    fail("the network can't be trained:\n  {}", join(texts, "\n  "));
  }
  const bool none_arrives =
      std::all_of(parameters.begin(), parameters.end(), [&](ValueId id) { return terms[at(id)].empty(); });
  if (none_arrives && !parameters.empty() && found.empty()) {
    fail("the network can't be trained: no gradient reaches its parameters, since {}",
         ends.empty() ? "the loss does not depend on them" : "it is zero everywhere in " + join(ends, ", "));
  }

  if (refusals != nullptr) refusals->insert(refusals->end(), found.begin(), found.end());

  for (const ValueId id : parameters) {
    ValueId grad = total(id);
    if (!grad.valid()) {
      grad = builder.constant(HostTensor(DType::f32, graph.shape(id)), "grad/" + graph.value(id).name + "/zero");
    }
    result.gradients.push_back(grad);
  }
  std::vector<ValueId> outputs{loss};
  outputs.insert(outputs.end(), result.gradients.begin(), result.gradients.end());
  outputs.insert(outputs.end(), graph.outputs.begin(), graph.outputs.end());
  out.outputs = std::move(outputs);
  return result;
}

}  // namespace hourglass
