#include "graph/graph.h"

#include "graph/error.h"
#include "graph/op.h"
#include "graph/text.h"

namespace hourglass {

Graph::Graph() = default;
Graph::Graph(const Graph& other) = default;
Graph::Graph(Graph&& other) noexcept = default;
Graph& Graph::operator=(const Graph& other) = default;
Graph& Graph::operator=(Graph&& other) noexcept = default;
Graph::~Graph() = default;

std::vector<ValueId> Graph::all(ValueKind kind) const {
  std::vector<ValueId> ids;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].kind == kind) ids.push_back({static_cast<int32_t>(i)});
  }
  return ids;
}

void Graph::find_producers() {
  for (Value& value : values) value.producer = -1;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    for (const ValueId id : nodes[n].outputs) value(id).producer = static_cast<int32_t>(n);
  }
}

ValueId Graph::find(std::string_view value_name) const {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].name == value_name) return {static_cast<int32_t>(i)};
  }
  return kNoValue;
}

GraphBuilder::GraphBuilder(Graph& graph, const OpTable& table) : graph_(graph), table_(table) {
  for (const Value& value : graph.values) taken_.emplace(value.name, 1);
  for (const Node& node : graph.nodes) taken_.emplace(node.name, 1);
}

GraphBuilder::~GraphBuilder() = default;

std::string GraphBuilder::unique_name(const std::string& name) {
  auto [it, fresh] = taken_.emplace(name, 1);
  if (fresh) return name;
  for (;;) {
    std::string numbered = fmt::format("{}_{}", name, ++it->second);
    if (taken_.emplace(numbered, 1).second) return numbered;
  }
}

ValueId GraphBuilder::add_value(Value value) {
  graph_.values.push_back(std::move(value));
  return {static_cast<int32_t>(graph_.values.size() - 1)};
}

ValueId GraphBuilder::input(const std::string& name, TensorType type) {
  const ValueId id =
      add_value({.name = unique_name(name), .type = std::move(type), .kind = ValueKind::input, .init = {}, .data = {}});
  graph_.inputs.push_back(id);
  return id;
}

ValueId GraphBuilder::constant(HostTensor data, const std::string& name) {
  TensorType type{data.dtype, data.shape};
  return add_value({.name = unique_name(name),
                    .type = std::move(type),
                    .kind = ValueKind::constant,
                    .init = {},
                    .data = std::make_shared<const HostTensor>(std::move(data))});
}

ValueId GraphBuilder::parameter(const std::string& name, TensorType type, Init init,
                                std::shared_ptr<const HostTensor> values) {
  return add_value({.name = unique_name(name),
                    .type = std::move(type),
                    .kind = ValueKind::parameter,
                    .init = init,
                    .data = std::move(values)});
}

ValueId GraphBuilder::append(const Graph& other, ValueId input, const std::string& prefix) {
  std::map<ValueId, ValueId> mapped{{other.inputs.at(0), input}, {kNoValue, kNoValue}};
  for (const ValueId id : other.all(ValueKind::constant)) {
    mapped[id] = constant(*other.value(id).data, prefix + other.value(id).name);
  }
  for (const ValueId id : other.parameters()) {
    const Value& value = other.value(id);
    mapped[id] = parameter(prefix + value.name, value.type, value.init, value.data);
  }
  for (const Node& node : other.nodes) {
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(mapped.at(id));
    const std::vector<ValueId> outputs = add_all(node.op->name, inputs, node.attrs, prefix + node.name);
    for (std::size_t i = 0; i < outputs.size(); ++i) mapped[node.outputs[i]] = outputs[i];
  }
  return mapped.at(other.outputs.at(0));
}

ValueId GraphBuilder::add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs, std::string name) {
  return add_all(op, std::move(inputs), std::move(attrs), std::move(name)).front();
}

std::vector<ValueId> GraphBuilder::add_all(std::string_view op_name, std::vector<ValueId> inputs, Attrs attrs,
                                           std::string name) {
  const OpDef* op = table_.find(op_name);
  if (op == nullptr) fail("op '{}' is not known", op_name);
  Node node{.op = op,
            .name = unique_name(name.empty() ? std::string(op_name) : name),
            .attrs = std::move(attrs),
            .inputs = std::move(inputs),
            .outputs = {}};
  try {
    complete_attrs(*op, node.attrs);
  } catch (const Error& error) {
    throw error.within(fmt::format("node '{}' ({})", node.name, op->name));
  }
  if (std::vector<ValueId> parts = lower(*this, node); !parts.empty()) return parts;
  std::vector<const TensorType*> types;
  for (const ValueId id : node.inputs) types.push_back(id.valid() ? &graph_.type(id) : nullptr);
  const std::vector<TensorType> outputs = infer_types(*op, node.attrs, types, node.name);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    node.outputs.push_back(
        add_value({.name = unique_name(i == 0 ? node.name + ".out" : fmt::format("{}.out{}", node.name, i)),
                   .type = outputs[i],
                   .kind = ValueKind::computed,
                   .producer = static_cast<int32_t>(graph_.nodes.size()),
                   .init = {},
                   .data = {}}));
  }
  graph_.nodes.push_back(node);
  return node.outputs;
}

std::string to_string(const Graph& graph) {
  std::string text = fmt::format("graph {}\n", graph.name);
  const auto line = [&](std::string_view role, ValueId id) {
    const Value& value = graph.value(id);
    text += fmt::format("  {} {} : {}:{}\n", role, value.name, value.type.dtype, value.type.shape);
  };
  for (const ValueId id : graph.inputs) line("input", id);
  for (const ValueId id : graph.all(ValueKind::parameter)) line("parameter", id);
  for (const ValueId id : graph.all(ValueKind::constant)) line("constant", id);
  const auto node_line = [&](const Node& node, std::string_view indent) {
    std::vector<std::string> ins, outs, attrs, types;
    for (const ValueId id : node.inputs) ins.push_back(id.valid() ? graph.value(id).name : "-");
    for (const ValueId id : node.outputs) {
      outs.push_back(graph.value(id).name);
      types.push_back(fmt::format("{}:{}", graph.type(id).dtype, graph.shape(id)));
    }
    for (const auto& [name, value] : node.attrs.all()) attrs.push_back(fmt::format("{}={}", name, to_string(value)));
    text += fmt::format("{}{} = {}({}){} -> {}\n", indent, join(outs, ", "), node.op->name, join(ins, ", "),
                        attrs.empty() ? "" : fmt::format(" {{{}}}", join(attrs, " ")), join(types, ", "));
  };
  for (const Node& node : graph.nodes) {
    node_line(node, "  ");
    for (const Node& part : node.body) node_line(part, "    ");
  }
  for (const ValueId id : graph.outputs) line("output", id);
  return text;
}

}  // namespace hourglass
