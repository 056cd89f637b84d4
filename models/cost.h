// What a network costs: layers, parameters and arithmetic, for any graph.
#pragma once

#include "graph/graph.h"

namespace hourglass {

// Floating-point operations are twice the multiply-adds of the convolutions; everything else is small beside them.
// Training counts the forward pass, the gradient of the weights, and the gradient of the source wherever it depends on
// a parameter (the first layer's does not).
struct LayerCost {
  std::string name, op;
  Shape shape;             // of the first output
  int64_t parameters = 0;  // those that no layer before this one uses
  double forward_flops = 0;
  double training_flops = 0;
};

struct NetworkCost {
  std::vector<LayerCost> layers;  // one per node, in order
  int64_t parameters = 0;
  double forward_flops = 0;
  double training_flops = 0;
};

NetworkCost cost_of(const Graph& graph);

}  // namespace hourglass
