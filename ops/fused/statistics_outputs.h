// Shape inference and reference of ops whose outputs 1 and 2 are the mean and inv_std of output 0, as of
// BatchNormalizationStatistics with the attribute epsilon: FusedConv and ResizeWithStatistics. Their kernels use
// ops/normalization/written_statistics.h.
#pragma once

#include "graph/op.h"

namespace hourglass::kernels {

// Both add to a context whose output 0 is there already.
void infer_written_statistics(InferContext& ctx);
void reference_written_statistics(ReferenceContext& ctx);

}  // namespace hourglass::kernels
