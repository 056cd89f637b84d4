// Reverse-mode differentiation as a graph transformation.
//
// differentiate() appends, to a copy of the graph, the nodes that compute d loss / d parameter. Each op's rule
// (OpDef::vjp) emits ordinary nodes, so passes, planner, profiler, dump and ONNX export treat a gradient like
// anything else. Gradients that meet at a value with several consumers are added up.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace hourglass {

// Why a node can't be computed, or has no gradient.
struct Refusal {
  std::string node, op, reason;
};

struct Differentiated {
  Graph graph;  // outputs: the loss, then one gradient per parameter
  ValueId loss;
  std::vector<ValueId> gradients;  // one per parameter, same shape; a constant zero where nothing flows
};

// loss must be a single f32 element computed in `graph`; parameters may be of kind parameter or input. Outputs that
// the graph already has stay outputs, behind the gradients. Throws Error listing every node on the way that has no
// gradient, with its reason; where `refusals` is given, these go there instead, and gradients end at such nodes.
Differentiated differentiate(const Graph& graph, const OpTable& table, ValueId loss,
                             const std::vector<ValueId>& parameters, std::vector<Refusal>* refusals = nullptr);

}  // namespace hourglass
