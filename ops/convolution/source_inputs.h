// The inputs of FusedConv, and of a ConvGradWeights whose source is normalised while it is read, as names instead of
// positions: passes (ops/fused/fuse.h) build the list, kernels read it by position.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace hourglass {

struct SourceInputs {
  ValueId src;                         // the image, [N,C,H,W], before it is resized and normalised
  ValueId other;                       // FusedConv: the weights; ConvGradWeights: diff_dst
  ValueId scale, bias, mean, inv_std;  // BatchNormalization's, one number per channel of src and second
  ValueId second;                      // an activation whose channels follow those of src; or none
  ValueId conv_bias;                   // FusedConv: the convolution's bias; or none

  // In the order of the positions below; missing inputs at the end are left out.
  [[nodiscard]] std::vector<ValueId> list() const {
    std::vector<ValueId> inputs{src, other, scale, bias, mean, inv_std, second, conv_bias};
    while (!inputs.back().valid()) inputs.pop_back();
    return inputs;
  }
};

namespace kernels {
constexpr std::size_t kScaleInput = 2, kBiasInput = 3, kMeanInput = 4, kInvStdInput = 5, kSecondInput = 6,
                      kConvBiasInput = 7;
}  // namespace kernels

}  // namespace hourglass
