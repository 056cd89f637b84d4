// What passes ask of a graph to find the places that they rewrite: who reads a value, and who makes it.
#pragma once

#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace hourglass {

// How many nodes and graph outputs read each value, by its index.
std::vector<int> count_uses(const Graph& graph);

// The nodes that read each value, by its index; one that reads it twice stands there twice.
std::vector<std::vector<Node*>> readers_of(Graph& graph);

// The node that computes the value, when it is of the op and nothing else reads it; else null. `uses` is from
// count_uses().
Node* sole_producer(Graph& graph, const std::vector<int>& uses, ValueId id, std::string_view op);

// Removes the nodes n with dropped[n], whose results nothing may read any more.
void drop_nodes(Graph& graph, const std::vector<bool>& dropped);

}  // namespace hourglass
