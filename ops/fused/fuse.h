// Graph passes that fuse convolutions, normalisations and resizes of a training graph: the results stay the same but
// for rounding, the memory traffic shrinks. They create the internal ops of this folder. engine/runtime/compile.cpp has
// the order of all passes.
#pragma once

#include "graph/graph.h"

namespace hourglass {

class OpTable;

// Runs before differentiate(), so that the gradient rules see the fused nodes.
// - A BatchNormalization that only a LeakyRelu or Relu reads becomes one node with it (attribute alpha): one pass over
// memory less in each direction.
// - A Pad of rows and columns by reflect, edge or wrap that only one Conv reads goes into that Conv (attribute
// pad_mode): the padded image is never stored.
// - A Conv that only a BatchNormalization reads loses its bias: subtracting the mean cancels it, and its gradient is
// zero.
// - A BatchNormalization of a Concat of two images along their channels, which nothing else reads, becomes one node
// with it: the concatenated image is never stored before it is normalised.
// Values keep their ids; values that are no longer computed stay behind without users.
void fuse(Graph& graph, const OpTable& table);

// Runs after differentiate(); nodes [0, forward_nodes) are the forward pass. A ConvGradWeights whose source was made by
// a BatchNormalization (of one image or of two) reads what the BatchNormalization reads, and normalises it while it
// reads. So the backward pass needs no normalised image, which need be neither kept nor recomputed.
void fuse_normalized_sources(Graph& graph, std::size_t forward_nodes);

// Runs after fuse_normalized_sources(). Where an enlarging Resize feeds only a BatchNormalization without an activation
// (of one image, or as the first of two) before a single Conv, and the gradients of both, the backward pass works on
// the small image alone: the Conv's gradient of its source passes through ResizeGrad to the small image in one node,
// BatchNormalization's gradient starts from there, and the gradient of the weights resizes what it reads. See
// ops/fused/conv_resize_grad_src_op.cpp and ops/normalization/resized.h.
void fuse_resized_gradients(Graph& graph, std::size_t forward_nodes, const OpTable& table);

// Runs after differentiate(). Where a BatchNormalization's gradient reads the gradient of a pointwise Conv of at most
// four channels, or the sum of such a gradient and another one, and nothing else reads these, it computes them while it
// reads: a sum of four products costs less than an image that is written once and read twice.
void fuse_pointwise_gradients(Graph& graph, const OpTable& table);

// Runs after recompute(). A BatchNormalization (of one image or of two) that only one Conv reads is reduced to its
// statistics: the Conv normalises its source while it reads (FusedConv). Where a Conv or a Resize wrote the source of a
// BatchNormalization, it takes the statistics while it writes. A Resize that only such a Conv and its statistics read
// disappears: both work from the small image.
void fuse_normalizations(Graph& graph, const OpTable& table);

}  // namespace hourglass
