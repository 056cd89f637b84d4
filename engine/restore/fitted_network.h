// The network that a fit leaves: its weights, its input z and the statistics of its normalisations, so that whoever
// runs it as it stands gets the image that the fit's last iteration would show without noise on z.
//
//   FittedWeights fitted = fitted_weights(fit);             // while there is the fit
//   write_onnx(fitted_network(network, std::move(fitted), table, {}).graph, "fitted.onnx");
#pragma once

#include <vector>

#include "engine/image/npy.h"
#include "engine/train/fit.h"
#include "graph/graph.h"

namespace hourglass {

// Row-major: z without noise, and each parameter of the network in the order of Graph::parameters().
struct FittedWeights {
  std::vector<float> input;
  std::vector<std::vector<float>> parameters;
};

FittedWeights fitted_weights(const Fit& fit);

// Sets the initial values of the graph's parameters, row-major and in the order of Graph::parameters(). Throws Error
// where they don't fit, or are no finite numbers.
void give_values(Graph& graph, const std::vector<std::vector<float>>& parameters);

struct FittedNetwork {
  // The network with these values, its input's default value being z. BatchNormalization, which takes the statistics
  // of the batch while it is fitted, takes those of z instead (its inference mode), for export: no plan can be made of
  // it.
  Graph graph;
  std::vector<float> image;  // what it makes of z in f32, row-major
};

// network: as fitted, with one input and one output, the image. threads: 0 for all. Throws Error where the values don't
// fit the network, or are no finite numbers.
FittedNetwork fitted_network(Graph network, const FittedWeights& weights, const OpTable& table, int threads);

// The value of a fitted network's input: z, of its shape [1, C, H, W].
Array network_input(const Graph& fitted);

}  // namespace hourglass
