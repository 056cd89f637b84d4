#include "graph/passes.h"

#include <doctest/doctest.h>

#include "ops/table.h"

namespace hourglass::test {
namespace {

TEST_CASE("dead code goes, inputs stay, ids are renumbered") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  b.parameter("unused", {DType::f32, Shape{7}}, {});
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 4, 4}});
  b.input("spare", {DType::f32, Shape{1}});
  const ValueId w = b.parameter("w", {DType::f32, Shape{2, 2, 1, 1}}, {.kind = Init::Kind::uniform});
  b.constant(HostTensor::ints({1, 2}), "unread");
  const ValueId h = b.add("LeakyRelu", {x}, {}, "kept");
  const ValueId dead = b.add("LeakyRelu", {h}, {}, "dead");
  b.add("LeakyRelu", {dead}, {}, "dead too");
  graph.outputs = {b.add("Conv", {h, w}, {}, "conv"), h};

  const std::vector<ValueId> moved = eliminate_dead_code(graph);
  CHECK(graph.values.size() == 5);
  REQUIRE(graph.nodes.size() == 2);
  CHECK(graph.nodes[1].name == "conv");
  CHECK(graph.inputs.size() == 2);
  CHECK(graph.value(graph.inputs[1]).name == "spare");
  CHECK(graph.value(graph.outputs[0]).name == "conv.out");
  CHECK(graph.value(graph.outputs[0]).producer == 1);
  CHECK(graph.value(graph.outputs[1]).producer == 0);
  CHECK(graph.value(graph.nodes[1].inputs[1]).name == "w");
  CHECK(graph.value(moved[static_cast<std::size_t>(w.index)]).name == "w");
  CHECK_FALSE(moved[static_cast<std::size_t>(dead.index)].valid());

  const std::string once = to_string(graph);
  eliminate_dead_code(graph);
  CHECK(to_string(graph) == once);
}

TEST_CASE("who reads a node that changes nothing reads its input") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 4, 4}});
  const ValueId same = b.add("Identity", {b.add("Identity", {x})});
  const auto slice = [&](ValueId id, int64_t start, int64_t end, int64_t step) {
    return b.add("Slice", {id},
                 {{"starts", Dims{start}}, {"ends", Dims{end}}, {"axes", Dims{2}}, {"steps", Dims{step}}});
  };
  const ValueId all = slice(same, 0, INT64_MAX, 1);
  const ValueId reversed = slice(all, -1, INT64_MIN, -1);
  const ValueId part = slice(reversed, 1, 4, 1);
  const ValueId named = b.add("Identity", {part}, {}, "result");
  graph.outputs = {named};
  forward_identities(graph);
  eliminate_dead_code(graph);
  REQUIRE(graph.nodes.size() == 3);
  CHECK(graph.nodes[0].inputs[0] == graph.inputs[0]);
  CHECK(graph.nodes[0].attrs.ints("steps") == Dims{-1});
  CHECK(graph.nodes[1].attrs.ints("starts") == Dims{1});
  CHECK(graph.value(graph.outputs[0]).name == "result.out");
}

}  // namespace
}  // namespace hourglass::test
