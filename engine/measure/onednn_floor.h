// What oneDNN's own primitives take for a network's convolutions: a floor that does not fall when the engine's own
// kernels get faster.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace hourglass {

// The seconds of the convolution that the node is (Conv, FusedConv, ConvGradSrc, ConvResizeGradSrc or ConvGradWeights)
// as one oneDNN primitive on `threads` threads, the median of `times` runs one after another: zero padding of the same
// width, a source that is there, layouts of oneDNN's choice or channels-last, whichever is faster. 0 for other nodes,
// and where oneDNN has no such primitive but its reference.
double time_onednn_convolution(const Graph& graph, const Node& node, int threads, int64_t times);

}  // namespace hourglass
