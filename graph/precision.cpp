#include "graph/precision.h"

#include <algorithm>
#include <map>

#include "graph/detail/onnx_tensor.h"
#include "graph/op.h"

namespace hourglass {
namespace {

// Long sums of products, which bf16 is for.
bool sums_products(const Node& node) {
  return node.op->name == "MatMul" || node.op->name.find("Conv") != std::string_view::npos;
}

class Lowering {
 public:
  Lowering(Graph& graph, const OpTable& table) : graph_(graph), builder_(graph, table) {
    for (const Value& value : graph.values) wanted_.push_back(value.type.dtype);
  }

  ValueId run(ValueId input, ValueId image) {
    mark(input, image);
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (std::size_t n = 0; n < nodes.size(); ++n) add(std::move(nodes[n]), lowered_[n]);
    for (ValueId& id : graph_.outputs) id = as(id, wanted_[at(id)]);
    return as(image, wanted_[at(image)]);
  }

 private:
  // Which nodes compute in bf16: those between the input and the image that can, without the network's tail.
  void mark(ValueId input, ValueId image) {
    const std::size_t count = graph_.nodes.size();
    std::vector<bool> reached(graph_.values.size(), false), needed(graph_.values.size(), false);
    lowered_.assign(count, false);
    reached[at(input)] = needed[at(image)] = true;
    for (std::size_t n = 0; n < count; ++n) {
      const Node& node = graph_.nodes[n];
      lowered_[n] = std::any_of(node.inputs.begin(), node.inputs.end(),
                                [&](ValueId id) { return id.valid() && reached[at(id)]; });
      for (const ValueId id : node.outputs) reached[at(id)] = lowered_[n];
    }
    for (std::size_t n = count; n-- > 0;) {
      const Node& node = graph_.nodes[n];
      const bool is_needed =
          std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) { return needed[at(id)]; });
      for (const ValueId id : node.inputs) {
        if (is_needed && id.valid()) needed[at(id)] = true;
      }
      lowered_[n] = lowered_[n] && is_needed && node.op->bf16_inputs != 0;
    }
    // Long sums, and what is cut out of them and subtracted from each other (local means): bf16 would round away the
    // difference. That ends where something else is done with it, such as a division.
    std::vector<bool> exact(graph_.values.size(), false);
    for (std::size_t n = 0; n < count; ++n) {
      const Node& node = graph_.nodes[n];
      const bool reads_exact =
          std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return id.valid() && exact[at(id)]; });
      const bool keeps = node.op->linear || node.op->name == "Add" || node.op->name == "Sub" || node.op->name == "Pad";
      if (node.op->name != "CumSum" && !(reads_exact && keeps)) continue;
      lowered_[n] = false;
      for (const ValueId id : node.outputs) exact[at(id)] = true;
    }
    // The tail: what has one input, between the last convolution and the image (Sigmoid, Clip, Slice), and sums, with
    // which a network corrects what it is given. There are few channels left, and bf16 would round the image itself to
    // steps of up to a grey level.
    keep_behind({image}, [](const Node& node) {
      return node.inputs.size() == 1 || node.op->name == "Add" || node.op->name == "Sub";
    });
    mark_around_whole(needed);
  }

  // What is cut to whole numbers or compared, back to the last sums of products: what bf16 rounds up, a Cast no longer
  // cuts off. And what is computed with whole numbers, of which bf16 holds those up to 256.
  void mark_around_whole(const std::vector<bool>& needed) {
    std::vector<bool> levels(graph_.values.size(), false);
    std::vector<ValueId> cut;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      const auto any = [](const std::vector<ValueId>& ids, const auto& holds) {
        return std::any_of(ids.begin(), ids.end(), [&](ValueId id) { return id.valid() && holds(id); });
      };
      const auto floats = [&](ValueId id) { return is_floating(graph_.type(id).dtype); };
      if (any(node.outputs, [&](ValueId id) { return needed[at(id)] && !floats(id); })) {
        lowered_[n] = false;
        cut.insert(cut.end(), node.inputs.begin(), node.inputs.end());
      }
      const bool reads_levels = any(node.inputs, [&](ValueId id) { return levels[at(id)]; });
      if (reads_levels && !sums_products(node)) lowered_[n] = false;
      const bool made_of_whole = node.inputs.size() == 1 && !floats(node.inputs[0]);
      const bool moves_levels = reads_levels && node.op->linear && !sums_products(node);
      for (const ValueId id : node.outputs) levels[at(id)] = floats(id) && (made_of_whole || moves_levels);
    }
    keep_behind(std::move(cut), [](const Node& node) { return !sums_products(node); });
  }

  // Keeps in f32 what computes these values, as far back as nodes are `kept`.
  template <typename Kept>
  void keep_behind(std::vector<ValueId> values, const Kept& kept) {
    std::vector<bool> seen(graph_.nodes.size(), false);
    while (!values.empty()) {
      const ValueId id = values.back();
      values.pop_back();
      const int32_t producer = id.valid() ? graph_.value(id).producer : -1;
      const auto n = static_cast<std::size_t>(producer);
      if (producer < 0 || seen[n]) continue;
      seen[n] = true;
      const Node& node = graph_.nodes[n];
      if (!kept(node)) continue;
      lowered_[n] = false;
      values.insert(values.end(), node.inputs.begin(), node.inputs.end());
    }
  }

  void add(Node node, bool lowered) {
    std::vector<const TensorType*> types;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId& id = node.inputs[i];
      if (!id.valid()) continue;
      const bool in_bf16 = lowered && (node.op->bf16_inputs >> i & 1) != 0 && wanted_[at(id)] == DType::f32;
      id = as(id, in_bf16 ? DType::bf16 : wanted_[at(id)]);
    }
    for (const ValueId id : node.inputs) types.push_back(id.valid() ? &graph_.type(id) : nullptr);
    const std::vector<TensorType> outputs = infer_types(*node.op, node.attrs, types, node.name);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      Value& value = graph_.value(node.outputs[i]);
      value.type = outputs[i];
      value.producer = static_cast<int32_t>(graph_.nodes.size());
    }
    graph_.nodes.push_back(std::move(node));
  }

  // The value in that type: itself, or its Cast.
  ValueId as(ValueId id, DType dtype) {
    if (graph_.type(id).dtype == dtype) return id;
    ValueId& cast = casts_[{id, dtype}];
    if (cast.valid()) return cast;
    const std::string name = fmt::format("{}/{}", graph_.value(id).name, dtype);
    if (graph_.value(id).kind == ValueKind::constant) {
      HostTensor data = *graph_.value(id).data;
      data.dtype = dtype;
      cast = builder_.constant(std::move(data), name);
    } else {
      cast = builder_.add("Cast", {id}, {{"to", int64_t{dtype_to_onnx(dtype)}}}, name);
    }
    return cast;
  }

  Graph& graph_;
  GraphBuilder builder_;
  std::vector<DType> wanted_;  // each value's type before
  std::vector<bool> lowered_;  // nodes
  std::map<std::pair<ValueId, DType>, ValueId> casts_;
};

}  // namespace

ValueId lower_to_bf16(Graph& graph, const OpTable& table, ValueId input, ValueId image) {
  return Lowering(graph, table).run(input, image);
}

bool lower_input_to_bf16(Graph& graph, ValueId input) {
  std::vector<std::size_t> readers;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const std::vector<ValueId>& inputs = graph.nodes[n].inputs;
    if (std::find(inputs.begin(), inputs.end(), input) != inputs.end()) readers.push_back(n);
  }
  if (readers.size() != 1 || std::find(graph.outputs.begin(), graph.outputs.end(), input) != graph.outputs.end()) {
    return false;
  }
  const auto reader = graph.nodes.begin() + static_cast<std::ptrdiff_t>(readers[0]);
  const ValueId lowered = reader->outputs[0];
  if (reader->op->name != "Cast" || graph.type(lowered).dtype != DType::bf16) return false;
  graph.value(input).type.dtype = DType::bf16;
  graph.nodes.erase(reader);
  for (Node& node : graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), lowered, input);
  graph.find_producers();
  return true;
}

}  // namespace hourglass
