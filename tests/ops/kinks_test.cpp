// Every op's gradient where its slope is no ordinary number, or hides what comes in: at 0, and at the bounds of
// activations. The rules, which PyTorch's masked gradients follow too:
//   - a finite gradient of finite values stays finite: where the slope is infinite (Sqrt at 0), none flows;
//   - where the slope is 0, none flows, even if what comes in is infinite. (A product, Mul or Div, is a product in its
//     gradient too, as in PyTorch; sums of products, convolutions for one, likewise.)
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "graph/evaluate.h"
#include "graph/op.h"
#include "ops/table.h"
#include "tests/ops/case.h"

namespace hourglass::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kLargest = 5000;

bool all_finite(const HostTensor& tensor) {
  return std::all_of(tensor.values.begin(), tensor.values.end(), [](double value) { return std::isfinite(value); });
}

// The case's values, where those of its floating inputs that are drawn from a range around 0 or beside it become some
// of -1, -1/2, 0, 1/2 and 1, or all 0.
std::vector<HostTensor> at_kinks(const Case& c, unsigned seed, bool all_zero) {
  std::vector<HostTensor> values = draw_inputs(c, seed);
  std::mt19937 random(seed);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!c.inputs[i].given || !is_floating(c.inputs[i].type.dtype)) continue;
    for (double& value : values[i].values) {
      value =
          all_zero ? 0.0 : std::max(0.5 * (static_cast<double>(random() % 5) - 2), c.inputs[i].low < 0 ? -1.0 : 0.0);
    }
  }
  return values;
}

// The gradient rule of one op at one place.
class Rule {
 public:
  Rule(const OpDef& op, const Case& c, std::vector<HostTensor> values) : builder_(graph_, op_table()) {
    std::vector<ValueId> ids;
    std::vector<const HostTensor*> inputs;
    std::vector<bool> wanted;
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      ids.push_back(c.inputs[i].given ? builder_.input("x", c.inputs[i].type) : kNoValue);
      inputs.push_back(c.inputs[i].given ? &values[i] : nullptr);
      wanted.push_back(c.inputs[i].given && is_floating(c.inputs[i].type.dtype));
    }
    result_ = evaluate_reference(op, c.attrs, inputs)[0];
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i].valid()) given_[ids[i]] = std::move(values[i]);
    }
    builder_.add_all(op.name, ids, c.attrs);
    const Node node = graph_.nodes.back();
    std::vector<ValueId> cotangents(node.outputs.size(), kNoValue);
    cotangents[0] = cotangent_ = builder_.input("cotangent", {result_.dtype, result_.shape});
    VjpContext ctx(builder_, node, cotangents, wanted);
    op.vjp(ctx);
    for (const ValueId id : ctx.grads()) {
      if (id.valid()) gradients_.push_back(id);
    }
  }
  [[nodiscard]] const HostTensor& result() const { return result_; }
  // Of each input that has one, for gradients of the result that are all `number`, or drawn.
  std::vector<HostTensor> gradients(double number) {
    return with({result_.dtype, result_.shape, std::vector<double>(result_.values.size(), number)});
  }
  std::vector<HostTensor> gradients() {
    Case random{.inputs = {{.type = {result_.dtype, result_.shape}}}, .attrs = {}};
    return with(draw_inputs(random, 100)[0]);
  }

 private:
  std::vector<HostTensor> with(HostTensor cotangent) {
    given_[cotangent_] = std::move(cotangent);
    return evaluate(graph_, given_, gradients_);
  }
  Graph graph_;
  GraphBuilder builder_;
  std::map<ValueId, HostTensor> given_;
  HostTensor result_;
  ValueId cotangent_;
  std::vector<ValueId> gradients_;
};

// Ops of one number each, or that choose among their elements or add up functions of them.
bool may_hide(const OpDef& op) {
  if (op.name == "Mul" || op.name == "Div") return false;
  return op.row != nullptr || op.name.starts_with("Reduce") || op.name.starts_with("Global") || op.name == "Where" ||
         op.name == "MaxPool" || op.name == "TopK" || op.name == "GatherElements";
}

template <typename Check>
void for_each_place(const Check& check) {
  for (const OpDef* op : op_table().all()) {
    if (op->vjp == nullptr) continue;
    for (const std::string& text : cases_of(*op)) {
      const Case c = parse_case(*op, text);
      if (c.inputs[0].type.shape.elements() > kLargest) continue;
      const auto has_gradient = [](const CaseInput& input) { return input.given && is_floating(input.type.dtype); };
      if (std::none_of(c.inputs.begin(), c.inputs.end(), has_gradient)) continue;
      for (const unsigned seed : {1U, 2U, 3U}) {
        CAPTURE(op->name);
        CAPTURE(text);
        CAPTURE(seed);
        Rule rule(*op, c, at_kinks(c, seed, seed == 1));
        check(*op, rule);
      }
    }
  }
}

}  // namespace

TEST_CASE("a finite gradient stays finite where an op's result is finite") {
  std::set<std::string_view> checked;
  for_each_place([&](const OpDef& op, Rule& rule) {
    if (!all_finite(rule.result())) return;
    checked.insert(op.name);
    for (const HostTensor& gradient : rule.gradients()) CHECK(all_finite(gradient));
    for (const HostTensor& gradient : rule.gradients(0)) {
      CHECK(std::all_of(gradient.values.begin(), gradient.values.end(), [](double value) { return value == 0; }));
    }
  });
  for (const char* op : {"Sqrt", "Pow", "Relu", "Clip", "Max", "PRelu", "ReduceL2", "BatchNormalization", "Where",
                         "Asin", "Acos", "Shrink", "TopK", "ScatterND"}) {
    CAPTURE(std::string(op));
    CHECK(checked.contains(op));
  }
}

TEST_CASE("where an op's slope is 0, an infinite gradient ends") {
  std::map<std::string_view, int> hidden;
  for_each_place([&](const OpDef& op, Rule& rule) {
    if (!may_hide(op) || !all_finite(rule.result())) return;
    const std::vector<HostTensor> finite = rule.gradients();
    for (const double number : {kInfinity, -kInfinity}) {
      const std::vector<HostTensor> infinite = rule.gradients(number);
      for (std::size_t i = 0; i < finite.size(); ++i) {
        CAPTURE(i);
        for (std::size_t k = 0; k < finite[i].values.size(); ++k) {
          if (finite[i].values[k] != 0) continue;
          ++hidden[op.name];
          if (infinite[i].values[k] != 0) FAIL_CHECK("passes ", infinite[i].values[k], " on");
        }
      }
    }
  });
  for (const char* op : {"Relu", "Clip", "Max", "Min", "PRelu", "Abs", "Pow", "ReduceL1", "ReduceL2", "ReduceMax",
                         "ReduceSumSquare", "HardSigmoid", "ThresholdedRelu", "Where", "MaxPool", "Shrink", "TopK"}) {
    CAPTURE(std::string(op));
    CHECK(hidden[op] > 0);
  }
}

TEST_CASE("LpNormalization leaves a zero vector zero and divides the smallest others by their norms") {
  for (const int64_t p : {1, 2}) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId x = b.input("x", {DType::f32, Shape{3, 2}});
    const ValueId y = b.add("LpNormalization", {x}, {{"axis", int64_t{1}}, {"p", p}});
    const HostTensor src(DType::f32, Shape{3, 2}, {0, 0, -1e-30, 0, 3, 4});
    const double norm = p == 1 ? 7 : 5;
    CHECK(evaluate(graph, {{x, src}}, {y})[0].values == std::vector<double>{0, 0, -1, 0, 3 / norm, 4 / norm});
  }
}

TEST_CASE("Relu of minus infinity is 0, and of no number none") {
  const HostTensor src(DType::f32, Shape{3}, {-kInfinity, std::nan(""), kInfinity});
  const HostTensor made = evaluate_reference(*op_table().find("Relu"), {}, {&src})[0];
  CHECK(made.values[0] == 0);
  CHECK(std::isnan(made.values[1]));
  CHECK(made.values[2] == kInfinity);
}

}  // namespace hourglass::test
