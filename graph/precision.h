// Mixed precision as a rewrite of the forward graph.
//
// Run it on a network with its energy, after fuse() and before differentiate(): gradients then take the types of what
// they are gradients of.
//   bf16: the activations, from the input to the network's last convolution, and copies of what they are computed with
//   f32:  the input and the image, the parameters (Adam's master weights) and their gradients, what an op keeps in f32
//         for itself (OpDef::bf16_inputs: biases, BatchNormalization's scale, bias and statistics), the energy, ops
//         without bf16 arithmetic, CumSum with the differences that are made of it, and what leads from the sums of
//         products before it into whole numbers and truth values, and out of them
// Where the two meet there is a Cast; one value is cast once, whoever reads it.
#pragma once

#include "graph/graph.h"

namespace hourglass {

// `image`, computed from `input`, is what the network ends with. Values keep their ids, so do nodes their names and
// graph outputs their types; nodes are added. Returns the f32 image: `image`, or a Cast of it when a Conv makes it.
ValueId lower_to_bf16(Graph& graph, const OpTable& table, ValueId input, ValueId image);

// Lets the caller give the input in bf16, where the lowered graph reads it through a Cast only: that Cast goes. False,
// and nothing is changed, where something else reads the input too.
bool lower_input_to_bf16(Graph& graph, ValueId input);

}  // namespace hourglass
