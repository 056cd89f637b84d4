// Rewrites of convolutions, normalisations and resizes that make a training graph cheaper and leave what it computes as
// it is, but for rounding. They make the internal ops of this folder. engine/runtime/compile.cpp has their order.
#pragma once

#include "graph/graph.h"

namespace hourglass {

class OpTable;

// To be run before differentiate(): the gradient rules then see the fused nodes.
// - BatchNormalization followed by nothing but a LeakyRelu or Relu becomes one node (attribute alpha): one pass over
//   memory less in each direction.
// - A Pad of rows and columns that mirrors, repeats or wraps the image, and that one Conv reads, goes into that Conv
//   (attribute pad_mode): the padded image is never stored.
// - A Conv's bias is dropped where nothing but a BatchNormalization follows: subtracting the mean cancels it, and
//   its gradient is zero.
// - A BatchNormalization of nothing but a Concat of two images along their channels becomes one node, so that they are
//   never stored side by side before they are normalised.
// Values keep their ids; those that nothing computes any more are left behind without users.
void fuse(Graph& graph, const OpTable& table);

// To be run after differentiate(); nodes [0, forward_nodes) are the forward pass. A gradient of weights whose source is
// what a BatchNormalization (of one image or of two) made reads what that one read, and normalises it on the way: the
// backward pass then has no use for the normalised image, which need be neither kept nor made anew.
void fuse_normalized_sources(Graph& graph, std::size_t forward_nodes);

// To be run behind fuse_normalized_sources(). Where a Resize that enlarges is read by nothing but a BatchNormalization
// without an activation (of one image, or as the first of two) in front of one Conv, and by the gradients of both, the
// backward pass works on the small image alone: the Conv's gradient of its source passes through Resize's and back to
// the small image at once, BatchNormalization's takes it from there, and the gradient of weights resizes what it reads.
// See ops/fused/conv_resize_grad_src_op.cpp and ops/normalization/resized.h.
void fuse_resized_gradients(Graph& graph, std::size_t forward_nodes, const OpTable& table);

// To be run after differentiate(). Where a BatchNormalization's gradient reads nothing but the gradient of a pointwise
// Conv of at most four channels, or that and another one added to it, it makes them as it reads: a sum of four products
// costs less than an image that is written once and read twice.
void fuse_pointwise_gradients(Graph& graph, const OpTable& table);

// To be run behind recompute(). A BatchNormalization (of one image or of two) that one Conv alone reads leaves only its
// statistics to be computed: the Conv normalises what it reads. Where a Conv or a Resize wrote what a
// BatchNormalization reads, it takes the statistics while it writes. A Resize whose result only such a Conv and its
// statistics read leaves both to make of the small image what they need.
void fuse_normalizations(Graph& graph, const OpTable& table);

}  // namespace hourglass
