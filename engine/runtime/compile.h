// From a network with its loss to a plan that trains it: fusion, element types, gradients and fusion of those, in the
// order that these passes need.
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
  int threads = 0;  // 0: available_cpus()
  LayoutPolicy policy = LayoutPolicy::channels_last;
  bool allocate = true;  // false: a plan on paper, see PlanOptions
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

}  // namespace hourglass
