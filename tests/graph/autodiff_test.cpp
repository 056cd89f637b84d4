#include "graph/autodiff.h"

#include <doctest/doctest.h>

#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::test {

TEST_CASE("a network no gradient of which reaches a parameter is refused, and told why") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 4, 4}});
  const ValueId w = b.parameter("w", {DType::f32, Shape{2, 2, 1, 1}}, {.kind = Init::Kind::uniform});
  const ValueId bias = b.parameter("b", {DType::f32, Shape{1, 2, 1, 1}}, {.kind = Init::Kind::uniform});
  const ValueId image = b.add("Round", {b.add("Conv", {x, w}, {}, "conv")}, {}, "codes");
  const ValueId loss = b.add("ReduceSumSquare", {image}, {{"keepdims", int64_t{0}}}, "loss");
  CHECK_THROWS_WITH_AS(differentiate(graph, op_table(), loss, {w}),
                       doctest::Contains("no gradient reaches its parameters, since it is zero everywhere in 'codes' "
                                         "(Round)"),
                       Error);
  // One that something reaches trains.
  const ValueId moved = b.add("Add", {image, bias}, {}, "moved");
  const ValueId other = b.add("ReduceSumSquare", {moved}, {{"keepdims", int64_t{0}}}, "other");
  CHECK(differentiate(graph, op_table(), other, {w, bias}).gradients.size() == 2);
}

}  // namespace hourglass::test
