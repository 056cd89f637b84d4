#include "ops/loops/whole_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/error.h"

namespace hourglass::kernels {
namespace {

constexpr double kLow = std::numeric_limits<int32_t>::min(), kHigh = std::numeric_limits<int32_t>::max();

using Bounds = WholeBounds::Bounds;

// What of such numbers a plan keeps: i64 stop at the bounds of 32 bits, the others count modulo their range, so that
// numbers which leave it may be anywhere in it.
Bounds kept(DType dtype, const Bounds& made) {
  if (dtype == DType::i64) return {std::clamp(made.low, kLow, kHigh), std::clamp(made.high, kLow, kHigh)};
  Bounds range{kLow, kHigh};
  if (dtype == DType::u8) range = {0, 255};
  if (dtype == DType::i8) range = {-128, 127};
  return made.low >= range.low && made.high <= range.high ? made : range;
}

Bounds hull(std::initializer_list<double> numbers) { return {std::min(numbers), std::max(numbers)}; }
Bounds hull(const Bounds& a, const Bounds& b) { return {std::min(a.low, b.low), std::max(a.high, b.high)}; }
double most(const Bounds& a) { return std::max(std::abs(a.low), std::abs(a.high)); }

double bound(const Node& node, const std::string& name, double otherwise) {
  return node.attrs.has(name) ? node.attrs.real(name) : otherwise;
}

}  // namespace

Bounds WholeBounds::made_by(const Node& node) {
  ++followed_;
  const std::string_view op = node.op->name;
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), op) != names.end();
  };
  const TensorType& from = graph_.type(node.inputs.at(0));
  if (is_floating(from.dtype)) {
    if (is({"Cast"})) return {};
    // Indices along an axis, and offsets in the whole tensor.
    const Dims& dims = from.shape.dims();
    if (is({"TopK", "ArgMax", "ArgMin"})) {
      return {0, dims.empty() ? 0 : static_cast<double>(*std::max_element(dims.begin(), dims.end()) - 1)};
    }
    if (is({"MaxPoolIndices"})) return {0, static_cast<double>(from.shape.elements() - 1)};
    return {kLow, kHigh};
  }
  Bounds a = of(node.inputs[0]);
  if (is({"Where"})) return hull(of(node.inputs.at(1)), of(node.inputs.at(2)));
  if (is({"Neg"})) return {-a.high, -a.low};
  if (is({"Abs"})) return {0, most(a)};
  if (is({"Sign"})) return {-1, 1};
  if (is({"Clip"})) {
    const double low = bound(node, "min", kLow), high = bound(node, "max", kHigh);
    return {std::clamp(a.low, std::min(low, high), high), std::clamp(a.high, std::min(low, high), high)};
  }
  if (is({"ReduceSum"})) {
    const double count = static_cast<double>(from.shape.elements()) /
                         std::max(1.0, static_cast<double>(graph_.shape(node.outputs[0]).elements()));
    return hull({a.low, a.high, a.low * count, a.high * count});
  }
  if (is({"Add", "Sub", "Mul", "Div", "Mod", "Pow", "Sum", "Max", "Min", "Concat"})) {
    for (std::size_t i = 1; i < node.inputs.size(); ++i) a = of_two(op, a, node.inputs[i]);
  }
  return a;  // elements that are moved are what they were
}

Bounds WholeBounds::of(ValueId id) {
  if (const auto known = known_.find(id); known != known_.end()) return known->second;
  const Value& value = graph_.value(id);
  Bounds bounds;
  if (value.data != nullptr && !value.data->values.empty()) {
    const auto [low, high] = std::minmax_element(value.data->values.begin(), value.data->values.end());
    bounds = {*low, *high};
  } else if (value.type.dtype == DType::boolean) {
    bounds = {0, 1};
  } else if (value.kind == ValueKind::computed && value.producer >= 0) {
    bounds = made_by(graph_.nodes[static_cast<std::size_t>(value.producer)]);
  }
  return known_[id] = kept(value.type.dtype, bounds);
}

Bounds WholeBounds::of_two(std::string_view op, const Bounds& a, ValueId other) {
  const Bounds b = of(other);
  if (op == "Add" || op == "Sum") return {a.low + b.low, a.high + b.high};
  if (op == "Sub") return {a.low - b.high, a.high - b.low};
  if (op == "Mul") return hull({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
  if (op == "Max") return {std::max(a.low, b.low), std::max(a.high, b.high)};
  if (op == "Min") return {std::min(a.low, b.low), std::min(a.high, b.high)};
  if (op == "Concat") return hull(a, b);
  if (op == "Mod") return b.low > 0 ? Bounds{a.low < 0 ? 1 - b.high : 0, b.high - 1} : Bounds{-most(b), most(b)};
  if (op == "Div") return a.low >= 0 && b.low > 0 ? Bounds{0, a.high / b.low} : Bounds{-most(a), most(a)};
  // Pow. An exponent that is not constant is not known well enough.
  if (graph_.value(other).data == nullptr) return {};
  const double power = std::pow(most(a), std::max(0.0, b.high));
  return {a.low < 0 ? -power : 0, power};
}

void require_32_bits(const PlanContext& ctx) {
  if (ctx.out().dtype != DType::i64) return;
  const Bounds made =
      ctx.whole_bounds != nullptr ? ctx.whole_bounds->made_by(ctx.node) : WholeBounds(ctx.graph).made_by(ctx.node);
  if (made.low >= kLow && made.high <= kHigh) return;
  fail(
      "of levels from -255 to 255 it may make {:.0f}: whole numbers that are computed with while running may have 32 "
      "bits",
      -made.low > made.high ? made.low : made.high);
}

}  // namespace hourglass::kernels
