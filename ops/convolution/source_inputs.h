// The inputs of FusedConv and of a ConvGradWeights whose source is normalised while it is read: passes make the list,
// kernels read it by position.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace hourglass {

struct SourceInputs {
  ValueId src;                         // the image, [N,C,H,W], before it is resized and normalised
  ValueId other;                       // FusedConv: the weights; ConvGradWeights: diff_dst
  ValueId scale, bias, mean, inv_std;  // BatchNormalization's, one number per channel of both images
  ValueId second;                      // an image whose channels stand behind the first one's; or none
  ValueId conv_bias;                   // FusedConv: the convolution's own; or none

  // In the order of the positions below, without what is missing at the end.
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
