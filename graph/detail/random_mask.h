// Random masks that a file draws to drop branches or elements (DropPath): found by what they are computed of, and
// replaced by their means. Internal to graph/.
#pragma once

#include <optional>

#include "graph/detail/onnx_model.h"
#include "graph/graph.h"

namespace hourglass {

// How probable it is that a comparison of what was drawn with a number, or its negation, holds. Nothing for any other
// value.
std::optional<double> chance_of(const Graph& graph, ValueId id);

// Of a node of the file that makes a mask of zeros and ones from `input`, a value of the graph: Floor of what was drawn
// uniformly in [0, 2), or Cast of its comparison with a number. Drawn once it would drop the same branches in every
// iteration; its mean takes its place, as when a network that drops is applied. Nothing for any other node.
std::optional<double> mean_of_mask(const Graph& graph, const OnnxNode& node, ValueId input);

}  // namespace hourglass
