// What an op means whose outputs 1 and 2 are the statistics of output 0, as BatchNormalizationStatistics takes them,
// with the attribute epsilon: FusedConv, ResizeWithStatistics. The kernels' side is
// ops/normalization/written_statistics.h.
#pragma once

#include "graph/op.h"

namespace hourglass::kernels {

// Output 0 is there already.
void infer_written_statistics(InferContext& ctx);
void reference_written_statistics(ReferenceContext& ctx);

}  // namespace hourglass::kernels
