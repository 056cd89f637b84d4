// Weights as an untrained network has them, for a network whose file brings trained ones.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace hourglass {

// Lets the weights and biases of convolutions and matrix products be drawn by the trainer, uniform in ±1/√fan-in
// (PyTorch's default; LeCun and others, "Efficient BackProp", 1998), sets the scales of BatchNormalization to 1 and
// its biases to 0, and takes the input's default value away. Returns the names of the parameters that keep the file's
// values, since nothing is known of how they start.
std::vector<std::string> draw_weights(Graph& graph);

}  // namespace hourglass
