#include "graph/detail/onnx_proto.h"

#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <limits>
#include <set>
#include <unordered_set>

#include "graph/detail/onnx_tensor.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// All of a file's external data, as much as a file in itself may hold.
constexpr uint64_t kMaxExternalBytes = uint64_t{1} << 31;

// Calls use(GraphProto&) for the graphs in a node's attributes.
template <typename Node, typename Use>
void for_each_subgraph(Node& node, const Use& use) {
  if constexpr (std::is_const_v<Node>) {
    for (const auto& attr : node.attribute()) {
      if (attr.has_g()) use(attr.g());
      for (const auto& graph : attr.graphs()) use(graph);
    }
  } else {
    for (auto& attr : *node.mutable_attribute()) {
      if (attr.has_g()) use(*attr.mutable_g());
      for (auto& graph : *attr.mutable_graphs()) use(graph);
    }
  }
}

void unify_graph_domains(onnx::GraphProto& graph);

void unify_domain(onnx::NodeProto& node) {
  if (node.domain() == "ai.onnx") node.clear_domain();
  for_each_subgraph(node, [](onnx::GraphProto& inner) { unify_graph_domains(inner); });
}

void unify_graph_domains(onnx::GraphProto& graph) {
  for (auto& node : *graph.mutable_node()) unify_domain(node);
}

template <typename Opsets>
void unify_opsets(Opsets& opsets) {
  for (auto& opset : opsets) {
    if (opset.domain() == "ai.onnx") opset.clear_domain();
  }
}

void collect_names_read(const onnx::GraphProto& graph, std::vector<std::string>& names) {
  for (const auto& node : graph.node()) {
    names.insert(names.end(), node.input().begin(), node.input().end());
    for_each_subgraph(node, [&](const onnx::GraphProto& inner) { collect_names_read(inner, names); });
  }
  for (const auto& info : graph.output()) names.push_back(info.name());
}

// Calls use(TensorProto&) for every tensor.
template <typename Use>
void for_each_tensor(onnx::GraphProto& graph, const Use& use) {
  for (auto& tensor : *graph.mutable_initializer()) {
    try {
      use(tensor);
    } catch (const Error& error) {
      throw error.within(fmt::format("initializer '{}'", tensor.name()));
    }
  }
  for (auto& node : *graph.mutable_node()) {
    for (auto& attr : *node.mutable_attribute()) {
      if (!attr.has_t()) continue;
      try {
        use(*attr.mutable_t());
      } catch (const Error& error) {
        throw error.within(fmt::format("node '{}' ({}): attribute '{}'", node.name(), node.op_type(), attr.name()));
      }
    }
    for_each_subgraph(node, [&](onnx::GraphProto& inner) { for_each_tensor(inner, use); });
  }
}

}  // namespace

onnx::ModelProto parse_proto(std::string_view bytes) {
  if (bytes.empty()) fail("the file is empty");
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) fail("the model is larger than 2 GB");
  onnx::ModelProto proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    fail("is not an ONNX model, is cut short, or nests subgraphs too deeply");
  }
  if (!proto.has_graph()) fail("is not an ONNX model, or is cut short: there is no graph in it");
  return proto;
}

void unify_domains(onnx::ModelProto& proto) {
  unify_opsets(*proto.mutable_opset_import());
  unify_graph_domains(*proto.mutable_graph());
  for (auto& function : *proto.mutable_functions()) {
    unify_opsets(*function.mutable_opset_import());
    for (auto& node : *function.mutable_node()) unify_domain(node);
  }
}

void check_names(const onnx::GraphProto& graph) {
  std::unordered_set<std::string_view> known, computed, initialized;
  for (const auto& tensor : graph.initializer()) {
    if (!initialized.insert(tensor.name()).second) fail("two initializers are called '{}'", tensor.name());
  }
  for (const auto& info : graph.input()) {
    if (!known.insert(info.name()).second) fail("two inputs are called '{}'", info.name());
  }
  known.insert(initialized.begin(), initialized.end());
  for (const auto& node : graph.node()) computed.insert(node.output().begin(), node.output().end());
  for (const auto& node : graph.node()) {
    for (const std::string& name : node.input()) {
      if (name.empty() || known.contains(name)) continue;
      fail("node '{}' ({}) reads '{}', which {}", node.name(), node.op_type(), name,
           computed.contains(name) ? "no node before it computes: the graph has a cycle, or its nodes are out of order"
                                   : "nothing in the file gives");
    }
    for (const std::string& name : node.output()) {
      if (name.empty() || known.insert(name).second) continue;
      fail("node '{}' ({}) computes '{}', a name that is taken already", node.name(), node.op_type(), name);
    }
  }
  for (const auto& info : graph.output()) {
    if (!known.contains(info.name())) fail("output '{}' is not computed by any node", info.name());
  }
}

std::vector<std::string> drop_unread_nodes(onnx::GraphProto& graph) {
  std::unordered_set<std::string> needed;
  for (const auto& info : graph.output()) needed.insert(info.name());
  std::vector<std::string> dropped;
  google::protobuf::RepeatedPtrField<onnx::NodeProto> kept;
  auto& nodes = *graph.mutable_node();
  for (int i = nodes.size(); i-- > 0;) {
    auto& node = nodes[i];
    const bool is_read = std::any_of(node.output().begin(), node.output().end(),
                                     [&](const std::string& name) { return needed.contains(name); });
    if (!is_read) {
      if (node.op_type() != "Constant") dropped.push_back(fmt::format("'{}' ({})", node.name(), node.op_type()));
      continue;
    }
    needed.insert(node.input().begin(), node.input().end());
    for (std::string& name : names_read_inside(node)) needed.insert(std::move(name));
    kept.Add()->Swap(&node);
  }
  nodes.Clear();
  for (int i = kept.size(); i-- > 0;) nodes.Add()->Swap(&kept[i]);
  std::reverse(dropped.begin(), dropped.end());
  return dropped;
}

void load_all_external_data(onnx::GraphProto& graph, const std::filesystem::path& folder) {
  uint64_t bytes = 0;
  for_each_tensor(graph, [&](const onnx::TensorProto& tensor) {
    if (const auto data = find_external_data(tensor, folder)) bytes += data->length;
    if (bytes > kMaxExternalBytes) fail("the model has more than {} MiB of external data", kMaxExternalBytes >> 20);
  });
  for_each_tensor(graph, [&](onnx::TensorProto& tensor) { load_external_data(tensor, folder); });
}

int64_t count_nodes(const onnx::GraphProto& graph) {
  int64_t count = graph.node_size();
  for (const auto& node : graph.node()) {
    for_each_subgraph(node, [&](const onnx::GraphProto& inner) { count += count_nodes(inner); });
  }
  return count;
}

std::vector<std::string> names_read_inside(const onnx::NodeProto& node) {
  std::vector<std::string> names;
  for_each_subgraph(node, [&](const onnx::GraphProto& inner) { collect_names_read(inner, names); });
  return names;
}

}  // namespace hourglass
