// From a network with its loss to a plan that trains it: fusion, element types, gradients and fusion of those, in the
// order that these passes need. And from a network alone to a plan that applies it.
#pragma once

#include <vector>

#include "engine/runtime/plan.h"
#include "engine/runtime/precision.h"
#include "graph/graph.h"

namespace hourglass {

class OpTable;

struct TrainingGraph {
  const Graph& graph;
  ValueId input, image, loss;  // image [1,C,H,W] f32; loss: one f32 element
};

struct CompileOptions {
  // What the loss is differentiated by: the parameters, the input, or both.
  bool train_parameters = true, train_input = false;
  // bf16: the network's activations (graph/precision.h).
  Precision precision = Precision::f32;
  int threads = 0;                  // 0: available_cpus()
  std::vector<CpuSet> places = {};  // see PlanOptions
  LayoutPolicy policy = LayoutPolicy::channels_last;
  bool allocate = true;  // false: a plan on paper, see PlanOptions
  // Of a plan on paper: where the nodes go that can't be planned or have no gradient, with what stands in the way.
  std::vector<Refusal>* refusals = nullptr;
};

// Values are those of `plan.graph()`. Gradients lie in memory as what they are gradients of.
struct CompiledTraining {
  std::vector<ValueId> parameters;          // of the network, trained or not
  std::vector<ValueId> trained, gradients;  // side by side
  ValueId image;
  Plan plan;
};

// Throws Error where the CPU only emulates the precision, where nothing is to be trained, and when the graph can't be
// differentiated or planned.
CompiledTraining compile_training(const TrainingGraph& training, const OpTable& table, const CompileOptions& options);

struct CompiledInference {
  ValueId image;  // f32, row-major
  Plan plan;      // its parameters are to be written before it runs
};

// Of a graph with one input and one output. What the options say of training counts for nothing. Throws as above.
CompiledInference compile_inference(Graph graph, const OpTable& table, const CompileOptions& options);

}  // namespace hourglass
