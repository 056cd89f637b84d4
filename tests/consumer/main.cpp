// Builds a graph, differentiates it, compiles it and runs it, through the installed headers only.
#include <cstdio>
#include <vector>

#include "engine/runtime/plan.h"
#include "graph/autodiff.h"
#include "ops/table.h"

int main() {
  using namespace hourglass;
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1}});
  const ValueId loss = b.add("LeakyRelu", {x}, {{"alpha", 0.25}});
  graph.outputs = {loss};
  const Differentiated d = differentiate(graph, op_table(), loss, {x});
  Plan plan(d.graph, {.threads = 1, .output_like = {}});
  plan.write(x, std::vector<float>{-8});
  plan.run();
  const float value = plan.output(d.loss)[0], slope = plan.output(d.gradients[0])[0];
  std::printf("LeakyRelu(-8) = %g, its derivative %g\n", static_cast<double>(value), static_cast<double>(slope));
  return value == -2.0F && slope == 0.25F ? 0 : 1;
}
