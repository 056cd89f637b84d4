// Rewrites of a whole graph. Each keeps the nodes in topological order and the graph's meaning.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace hourglass {

// Drops every node, constant and parameter that no output depends on, and closes the gaps. Inputs stay, used or not.
// Returns where each old value went: result[old.index], kNoValue for one that is gone.
std::vector<ValueId> eliminate_dead_code(Graph& graph);

}  // namespace hourglass
