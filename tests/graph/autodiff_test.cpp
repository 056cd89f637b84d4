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
  CHECK_THROWS_WITH_AS(differentiate(graph, op_table(), loss, {bias}),
                       doctest::Contains("no gradient reaches its parameters, since the loss does not depend on them"),
                       Error);
}

TEST_CASE("a network whose parameters are behind whole numbers or truth values is refused, and told which") {
  constexpr int64_t kI64 = 7, kF32 = 1;  // onnx::TensorProto's INT64, FLOAT
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 4, 4}});
  const ValueId w = b.parameter("w", {DType::f32, Shape{2, 2, 1, 1}}, {.kind = Init::Kind::uniform});
  const auto number = [&](double value) { return b.constant(HostTensor::scalar(DType::f32, value)); };
  const ValueId made = b.add("Conv", {x, w}, {}, "conv");
  const ValueId levels = b.add("Cast", {b.add("Mul", {made, number(255)})}, {{"to", kI64}}, "levels");
  const ValueId bright = b.add("Greater", {made, number(0.5)}, {}, "bright");
  const ValueId image = b.add("Where", {bright, b.add("Cast", {levels}, {{"to", kF32}}), number(0)}, {}, "image");
  const ValueId loss = b.add("ReduceSumSquare", {image}, {{"keepdims", int64_t{0}}}, "loss");
  CHECK_THROWS_WITH_AS(differentiate(graph, op_table(), loss, {w}),
                       doctest::Contains("no gradient reaches its parameters, since it is zero everywhere in 'bright' "
                                         "(Greater), 'levels' (Cast)"),
                       Error);
  // Past them it trains.
  const ValueId masked = b.add("Where", {bright, made, number(0)}, {}, "masked");
  const ValueId other = b.add("ReduceSumSquare", {masked}, {{"keepdims", int64_t{0}}}, "other");
  CHECK(differentiate(graph, op_table(), other, {w}).gradients.size() == 1);
}

}  // namespace hourglass::test
