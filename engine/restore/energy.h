// Energies E(image; x0) as graph fragments: each appends nodes to the network's graph and returns a scalar loss.
//
// All are means of squares with 1.0 = 255 grey levels, so their sizes are comparable: -10 log10(mse) is a PSNR.
#pragma once

#include <string>

#include "engine/image/image.h"
#include "engine/restore/jpeg_model.h"
#include "engine/restore/network.h"
#include "engine/train/fit.h"

namespace hourglass {

// Of all elements.
ValueId mean_of_squares(GraphBuilder& builder, ValueId x);

// mean((image - target)^2), the paper's. Throws Error unless both have the same channels: bind_network() sees to it.
ValueId mse_energy(GraphBuilder& builder, ValueId image, const Image& target);
// The network with this energy: what is measured and planned where no task is at hand.
Problem mse_problem(Network network, const OpTable& table, const Image& target);

// The same over the pixels that are known: known has one channel, 1 for these and 0 elsewhere.
ValueId masked_mse_energy(GraphBuilder& builder, ValueId image, const Image& target, const Image& known);

// Mean over all coefficients of the squared distance to a cell of half width `half_width` * q around n q:
//   d(c) = max(|c - n q| - half_width q, 0).
// half_width = 1/2 is the file's own cell, zero inside; 0 is the mean square to the dequantized coefficients. 0.3 pulls
// towards the cell's middle, where most originals lie. Where bits of n were not sent, the cell is wider than q, and d
// is the distance to the middle part of it that is (width - q) wider too.
ValueId cell_energy(GraphBuilder& builder, ValueId image, const JpegModel& model, double half_width);

// (1 - weight) a + weight b, for weight in (0, 1).
ValueId blended_energy(GraphBuilder& builder, ValueId a, ValueId b, double weight);

// energy + lambda R(image), where R is the anisotropic total variation, the mean over all samples of the differences to
// the right and below, |x(y, x + 1) - x(y, x)| + |x(y + 1, x) - x(y, x)|, with 1.0 = 255 grey levels.
ValueId with_total_variation(GraphBuilder& builder, ValueId energy, ValueId image, double lambda);

}  // namespace hourglass
