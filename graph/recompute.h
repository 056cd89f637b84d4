// Memory for a little time: large values that are cheap to compute are computed once more where the backward pass reads
// them, instead of being kept from the forward pass.
#pragma once

#include "graph/graph.h"

namespace hourglass {

class OpTable;

// Nodes [0, forward_nodes) are the forward pass; the ones behind read copies of what OpDef::again can compute anew, of
// at least `least_bytes` each. Copies are made just before their first reader. The graph means the same; numbers may
// differ by rounding.
void recompute(Graph& graph, const OpTable& table, std::size_t forward_nodes, int64_t least_bytes);

}  // namespace hourglass
