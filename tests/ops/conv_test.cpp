// What convolution and pooling refuse, and what the gradient of Conv leaves out.
#include <doctest/doctest.h>

#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/op.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

// The text of the Error that adding this node throws; empty when it throws none.
std::string refusal(std::string_view op, const std::vector<Shape>& inputs, Attrs attrs = {}) {
  Graph graph;
  GraphBuilder b(graph, op_table());
  std::vector<ValueId> ids;
  for (const Shape& shape : inputs) ids.push_back(b.input("x", {DType::f32, shape}));
  try {
    b.add(op, ids, std::move(attrs), "here");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// How often `op` stands in the gradient of sum(Conv(src, weights, bias)) with respect to the given inputs.
int count_in_gradient(std::string_view op, bool src_wanted, bool weights_wanted, bool bias_wanted) {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const std::vector<ValueId> in{b.input("src", {DType::f32, {1, 3, 8, 8}}),
                                b.input("weights", {DType::f32, {4, 3, 3, 3}}), b.input("bias", {DType::f32, {4}})};
  const ValueId dst = b.add("Conv", in);
  const Node node = graph.nodes.back();
  const ValueId grad = b.input("cotangent", graph.type(dst));
  VjpContext ctx(b, node, {grad}, {src_wanted, weights_wanted, bias_wanted});
  node.op->vjp(ctx);
  const std::vector<bool> wanted{src_wanted, weights_wanted, bias_wanted};
  for (std::size_t i = 0; i < 3; ++i) CHECK(ctx.grads()[i].valid() == wanted[i]);
  int count = 0;
  for (const Node& n : graph.nodes) count += n.op->name == op ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("Conv says what is wrong") {
  CHECK(refusal("Conv", {{1, 3, 8, 8}, {4, 3, 3, 3}, {4}}).empty());
  CHECK(refusal("Conv", {{1, 3, 8}, {4, 3, 3}}).empty());
  CHECK(refusal("Conv", {{1, 3, 8, 8, 8}, {4, 3, 3, 3, 3}}).empty());
  CHECK(contains(refusal("Conv", {{1, 3, 8}, {4, 3, 3, 3}}), "expected [N,C,H,W]"));
  CHECK(contains(refusal("Conv", {{1, 3}, {4, 3}}), "expected [N,C,H,W]"));
  CHECK(contains(refusal("Conv", {{1, 3, 8}, {4, 3, 3}}, {{"strides", Dims{1, 1}}}), "2 values, 1 expected"));
  CHECK(contains(refusal("Conv", {{1, 132, 8, 8}, {4, 128, 3, 3}}),
                 "node 'here' (Conv): src 1x132x8x8 has 132 channels"));
  CHECK(contains(refusal("Conv", {{1, 4, 8, 8}, {3, 2, 3, 3}}, {{"group", int64_t{2}}}), "do not divide"));
  CHECK(contains(refusal("Conv", {{1, 3, 8, 8}, {4, 3, 3, 3}, {5}}), "bias is f32:5, expected f32:4"));
  CHECK(contains(refusal("Conv", {{1, 3, 2, 8}, {4, 3, 3, 3}}), "does not fit"));
  CHECK(
      contains(refusal("Conv", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {{"kernel_shape", Dims{5, 5}}}), "kernel_shape is [5,5]"));
  CHECK(contains(refusal("Conv", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {{"pads", Dims{1, 1}}}), "pads has 2 values"));
  CHECK(contains(refusal("Conv", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {{"strides", Dims{0, 1}}}), "at least 1"));
  CHECK(contains(refusal("Conv", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {{"auto_pad", std::string("SAME")}}), "SAME_UPPER"));
  CHECK(contains(
      refusal("Conv", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {{"auto_pad", std::string("VALID")}, {"pads", Dims{1, 1, 1, 1}}}),
      "give one of them"));
}

TEST_CASE("pooling says what is wrong") {
  const AttrValue two = Dims{2, 2};
  CHECK(refusal("MaxPool", {{1, 3, 8, 8}}, {{"kernel_shape", two}}).empty());
  CHECK(refusal("MaxPool", {{1, 3, 8}}, {{"kernel_shape", Dims{2}}}).empty());
  CHECK(contains(refusal("MaxPool", {{1, 3}}, {{"kernel_shape", Dims{2, 2}}}), "only 2-D"));
  CHECK(contains(refusal("MaxPool", {{1, 3, 8, 8}}, {{"kernel_shape", two}, {"storage_order", int64_t{1}}}),
                 "row-major"));
  // A maximum, or a mean that leaves padding out, of nothing but padding; the mean of zeros is well defined.
  const Attrs padded{{"kernel_shape", two}, {"pads", Dims{2, 0, 0, 0}}};
  CHECK(contains(refusal("MaxPool", {{1, 3, 8, 8}}, padded), "sees only padding"));
  CHECK(contains(refusal("AveragePool", {{1, 3, 8, 8}}, padded), "sees only padding"));
  Attrs included = padded;
  included.set("count_include_pad", int64_t{1});
  CHECK(refusal("AveragePool", {{1, 3, 8, 8}}, included).empty());
}

TEST_CASE("the gradient of Conv computes what is wanted and no more") {
  CHECK(count_in_gradient("ConvGradSrc", false, true, true) == 0);
  CHECK(count_in_gradient("ConvGradWeights", false, true, true) == 1);
  CHECK(count_in_gradient("ConvGradSrc", true, false, false) == 1);
  CHECK(count_in_gradient("ConvGradWeights", true, false, false) == 0);
  CHECK(count_in_gradient("ConvGradWeights", true, false, true) == 1);
}

}  // namespace hourglass::test
