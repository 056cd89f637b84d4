#include "engine/runtime/plan.h"

#include <doctest/doctest.h>

#include "engine/runtime/cpus.h"
#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::test {

TEST_CASE("a plan computes its outputs, leaves its inputs, and says so again") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 1, 3}});
  const ValueId y = b.add("LeakyRelu", {x}, {{"alpha", 0.5}});
  const ValueId z = b.add("LeakyRelu", {y}, {{"alpha", 0.5}});
  graph.outputs = {y, z};
  Plan plan(graph, {.threads = 2, .output_like = {}});
  const std::vector<float> values{-4, -2, 0, 1, 2, 3};
  plan.write(x, values);
  for (int round = 0; round < 2; ++round) {
    plan.run();
    CHECK(plan.read(x) == values);
    CHECK(std::vector<float>(plan.output(y), plan.output(y) + 6) == std::vector<float>{-2, -1, 0, 1, 2, 3});
    CHECK(std::vector<float>(plan.output(z), plan.output(z) + 6) == std::vector<float>{-1, -0.5, 0, 1, 2, 3});
  }
}

TEST_CASE("work in place keeps the arena small") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  ValueId x = b.input("x", {DType::f32, Shape{1, 16, 32, 32}});
  for (int i = 0; i < 10; ++i) x = b.add("LeakyRelu", {x}, {{"alpha", 0.5}});
  graph.outputs = {x};
  const Plan plan(graph, {.threads = 1, .output_like = {}});
  CHECK(plan.arena_bytes() == 16 * 32 * 32 * 4);
}

TEST_CASE("a plan on paper says what a plan needs") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 16, 32, 32}});
  graph.outputs = {b.add("Sigmoid", {b.add("LeakyRelu", {x}, {{"alpha", 0.5}})})};
  const Plan plan(graph, {.threads = 1, .output_like = {}});
  const Plan paper(graph, {.threads = 1, .output_like = {}, .allocate = false});
  CHECK(paper.arena_bytes() == plan.arena_bytes());
  CHECK(paper.persistent_bytes() == plan.persistent_bytes());
  CHECK(paper.steps().size() == plan.steps().size());
  CHECK(paper.padded_elements(x) == 16 * 32 * 32);

  // Values of 16 TiB, more than a machine has.
  Graph huge;
  GraphBuilder h(huge, op_table());
  const ValueId y = h.input("x", {DType::f32, Shape{1, 64, int64_t{1} << 18, int64_t{1} << 18}});
  huge.outputs = {h.add("LeakyRelu", {h.add("Sigmoid", {y})}, {{"alpha", 0.5}})};
  const Plan huge_paper(huge, {.threads = 1, .output_like = {}, .allocate = false});
  CHECK(huge_paper.persistent_bytes() == std::size_t{1} << 44);
  CHECK(huge_paper.arena_bytes() >= std::size_t{1} << 44);
}

TEST_CASE("writing the wrong number of values is an error") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 1, 3}});
  graph.outputs = {b.add("Relu", {x})};
  Plan plan(graph, {.threads = 1, .output_like = {}});
  CHECK_THROWS_AS(plan.write(x, {1, 2}), Error);
}

TEST_CASE("there is at least one CPU") { CHECK(available_cpus() >= 1); }

}  // namespace hourglass::test
