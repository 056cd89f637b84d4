#include "graph/detail/random_mask.h"

#include <algorithm>
#include <string_view>

#include "graph/op.h"

namespace hourglass {
namespace {

// Of a constant whose elements are all the same.
std::optional<double> number_of(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (value.kind != ValueKind::constant && value.kind != ValueKind::parameter) return {};
  if (value.data == nullptr || value.data->values.empty()) return {};
  const std::vector<double>& numbers = value.data->values;
  const bool all_same = std::all_of(numbers.begin(), numbers.end(), [&](double x) { return x == numbers[0]; });
  return all_same ? std::optional(numbers[0]) : std::nullopt;
}

// A value is factor * base + offset, as far as constants of one element tell; base is itself where they tell nothing.
struct Affine {
  ValueId base;
  double factor = 1, offset = 0;
};

Affine affine_of(const Graph& graph, ValueId id) {
  Affine affine{.base = id};
  constexpr int kMostSteps = 16;
  for (int step = 0; step < kMostSteps && graph.value(affine.base).kind == ValueKind::computed; ++step) {
    const Node& node = graph.nodes[static_cast<std::size_t>(graph.value(affine.base).producer)];
    const std::string_view op = node.op->name;
    if (op == "Identity" || op == "Cast" || op == "Reshape" || op == "Expand" || op == "Unsqueeze") {
      affine.base = node.inputs[0];
      continue;
    }
    if (op != "Add" && op != "Sub" && op != "Mul" && op != "Div") break;
    const std::optional<double> left = number_of(graph, node.inputs[0]), right = number_of(graph, node.inputs[1]);
    if (left.has_value() == right.has_value() || (op == "Div" && (left || *right == 0))) break;
    const double number = left ? *left : *right;
    if (op == "Add" || op == "Sub") {
      affine.offset += affine.factor * (op == "Sub" && right ? -number : number);
      if (op == "Sub" && left) affine.factor = -affine.factor;
    } else {
      affine.factor *= op == "Div" ? 1 / number : number;
    }
    affine.base = node.inputs[left ? 1 : 0];
  }
  return affine;
}

// Where a value lies that was drawn uniformly.
struct Range {
  double low, high;
  [[nodiscard]] double share_below(double bound) const { return std::clamp((bound - low) / (high - low), 0.0, 1.0); }
};

std::optional<Range> uniform_range(const Graph& graph, ValueId id) {
  const Affine affine = affine_of(graph, id);
  const Value& base = graph.value(affine.base);
  if (base.kind != ValueKind::parameter || base.data != nullptr || base.init.kind != Init::Kind::uniform) return {};
  const double a = affine.factor * base.init.low + affine.offset, b = affine.factor * base.init.high + affine.offset;
  if (!(std::min(a, b) < std::max(a, b))) return {};
  return Range{std::min(a, b), std::max(a, b)};
}

}  // namespace

std::optional<double> chance_of(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (value.kind != ValueKind::computed || value.type.dtype != DType::boolean) return {};
  const Node& node = graph.nodes[static_cast<std::size_t>(value.producer)];
  const std::string_view op = node.op->name;
  if (op == "Not") {
    const std::optional<double> chance = chance_of(graph, node.inputs[0]);
    return chance ? std::optional(1 - *chance) : std::nullopt;
  }
  const bool less = op == "Less" || op == "LessOrEqual";
  if (!less && op != "Greater" && op != "GreaterOrEqual") return {};
  const std::optional<double> left = number_of(graph, node.inputs[0]), right = number_of(graph, node.inputs[1]);
  if (left.has_value() == right.has_value()) return {};
  const std::optional<Range> range = uniform_range(graph, node.inputs[left ? 1 : 0]);
  if (!range) return {};
  const double below = range->share_below(left ? *left : *right);
  return less == right.has_value() ? below : 1 - below;
}

std::optional<double> mean_of_mask(const Graph& graph, const OnnxNode& node, ValueId input) {
  constexpr int64_t kFloat = 1;  // onnx::TensorProto::FLOAT
  // Where each makes 1 of what it makes 0 of below.
  const std::pair<const char*, double> roundings[] = {{"Floor", 1.0}, {"Round", 0.5}, {"Ceil", 0.0}};
  for (const auto& [op, step] : roundings) {
    if (node.op != op) continue;
    const std::optional<Range> range = uniform_range(graph, input);
    // Ceil makes -1 of its lowest number, which the others make 0 of.
    if (!range || range->high > step + 1 || range->low < step - 1 || (step <= 0 && range->low <= step - 1)) continue;
    return 1 - range->share_below(step);
  }
  if (node.op == "Cast" && node.attrs.integer("to") == kFloat) return chance_of(graph, input);
  return {};
}

}  // namespace hourglass
