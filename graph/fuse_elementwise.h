// Elementwise nodes that read each other become one.
#pragma once

#include "graph/graph.h"

namespace hourglass {

class OpTable;

// To be run last. Drops what no output depends on. Elementwise functions of images of one shape that read each other,
// with the Casts between them and the sums over them, become one node (Node::body has them), which computes all of them
// a piece at a time: what they make for each other alone stays in the cache. The energy, its gradient and what stands
// around them are such nodes, as are activations that a file spells out (x * sigmoid(x)). Between bf16 and bf16 nothing
// is rounded then.
void fuse_elementwise(Graph& graph, const OpTable& table);

}  // namespace hourglass
