#include "engine/runtime/compile.h"

#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/fuse_elementwise.h"
#include "graph/op.h"
#include "graph/precision.h"
#include "graph/recompute.h"
#include "ops/fused/fuse.h"

namespace hourglass {

namespace {

void check_precision(Precision precision) {
  if (precision == Precision::bf16 && !has_native_bf16()) {
    fail(
        "bf16: this CPU has no bf16 arithmetic, or oneDNN may not use it; it would be emulated, slower than f32. "
        "Compute in f32");
  }
}

}  // namespace

CompiledTraining compile_training(const TrainingGraph& training, const OpTable& table, const CompileOptions& options) {
  check_precision(options.precision);
  Graph graph = training.graph;
  // Whoever trains writes the initial values; the plan keeps none.
  for (const ValueId id : graph.parameters()) graph.value(id).data.reset();
  graph.outputs = {training.image, training.loss};
  fuse(graph, table);
  graph.outputs = {training.image};
  ValueId image = training.image;
  if (options.precision == Precision::bf16) {
    image = lower_to_bf16(graph, table, training.input, image);
    if (!options.train_input) lower_input_to_bf16(graph, training.input);
  }
  const std::vector<ValueId> parameters = graph.parameters();
  std::vector<ValueId> trained;
  if (options.train_parameters) trained = parameters;
  if (options.train_parameters && trained.empty()) fail("the network has no parameters to train");
  if (options.train_input) trained.push_back(training.input);
  if (trained.empty()) fail("neither the network nor its input is to be optimized: nothing could be fitted");
  Differentiated d = differentiate(graph, table, training.loss, trained, options.refusals);
  fuse_normalized_sources(d.graph, graph.nodes.size());
  fuse_resized_gradients(d.graph, graph.nodes.size(), table);
  constexpr int64_t kWorthIt = 1 << 20;  // bytes; smaller values are few megabytes in all
  recompute(d.graph, table, graph.nodes.size(), kWorthIt);
  fuse_pointwise_gradients(d.graph, table);
  fuse_normalizations(d.graph, table);
  fuse_elementwise(d.graph, table);
  PlanOptions plan_options{.threads = options.threads,
                           .places = options.places,
                           .policy = options.policy,
                           .output_like = {},
                           .given_bf16_copies = true,
                           .allocate = options.allocate,
                           .refusals = options.refusals};
  for (std::size_t i = 0; i < trained.size(); ++i) {
    plan_options.output_like.emplace_back(d.gradients[i], trained[i]);
  }
  return {parameters, trained, d.gradients, image, Plan(std::move(d.graph), std::move(plan_options))};
}

CompiledInference compile_inference(Graph graph, const OpTable& table, const CompileOptions& options) {
  check_precision(options.precision);
  const ValueId input = graph.inputs.at(0);
  ValueId image = graph.outputs.at(0);
  fuse(graph, table);
  if (options.precision == Precision::bf16) {
    image = lower_to_bf16(graph, table, input, image);
    lower_input_to_bf16(graph, input);
    graph.outputs = {image};
  }
  fuse_elementwise(graph, table);
  return {image, Plan(std::move(graph), {.threads = options.threads,
                                         .places = options.places,
                                         .policy = options.policy,
                                         .output_like = {},
                                         .allocate = options.allocate})};
}

}  // namespace hourglass
