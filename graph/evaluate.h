// Runs a graph by its ops' double-precision references. Slow and plain: for constant folding, for tests, and for
// the question "what would this fit do without rounding?".
#pragma once

#include <map>
#include <vector>

#include "graph/graph.h"

namespace hourglass {

// `given` holds every input and every parameter without data; constants come from the graph. Returns `wanted`, in
// order.
std::vector<HostTensor> evaluate(const Graph& graph, const std::map<ValueId, HostTensor>& given,
                                 const std::vector<ValueId>& wanted);

}  // namespace hourglass
