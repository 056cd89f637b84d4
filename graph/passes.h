// Rewrites of a whole graph. Each keeps the nodes in topological order and the graph's meaning.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace hourglass {

// Drops every node that no output depends on. Values keep their ids.
void drop_unread_nodes(Graph& graph);

// Drops every node, constant and parameter that no output depends on, and closes the gaps. Inputs stay, used or not.
// Returns where each old value went: result[old.index], kNoValue for one that is gone.
std::vector<ValueId> eliminate_dead_code(Graph& graph);

// Lets who reads the output of an Identity, or of another node that passes its input through unchanged (a Slice of
// everything, a Reshape to the same shape), read the input instead. The node itself is then dead code. One that
// computes an output of the graph stays, for the output's name.
void forward_identities(Graph& graph);

}  // namespace hourglass
