// --freeze PATTERN,...: which of a network's parameters are not to be trained, and which look as if they should not be.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace hourglass::cli {

// Makes constants of the parameters whose names match one of the patterns, as file names do in a shell (* and ? also
// stand for slashes), with commas between the patterns. Returns their names. Throws Error for a pattern that matches
// none, and for a parameter that has no values, since it is drawn.
std::vector<std::string> freeze(Graph& graph, const std::string& patterns);

// Names of the parameters that look like buffers, which the network's author did not train: masks and fixed filters,
// tensors of two or more dimensions that consist of 2 to 16 different numbers, each there twice or more on average; the
// bias beside such a filter; and the vectors called ..._u and ..._v of spectral normalisation.
std::vector<std::string> likely_buffers(const Graph& graph);
// What is said of them; empty where there are none.
std::string buffers_note(const Graph& graph);

}  // namespace hourglass::cli
