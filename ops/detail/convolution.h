// What a convolution's kernel is planned from, in any of its three directions.
#pragma once

#include "ops/detail/border.h"
#include "ops/detail/window.h"
#include "ops/kernel.h"

namespace hourglass::detail {

enum class Direction : uint8_t { forward, grad_src, grad_weights };

// Types and shapes as in the graph; weights are [OC,C,KH,KW], in one group.
struct Convolution {
  Direction direction = Direction::forward;
  Window window;
  Border border = Border::constant;
  TensorType src, weights, dst;  // or the gradients in their places
  bool has_bias = false;         // forward: bias is input 2; grad_weights: diff_bias is output 1
  int64_t band_rows = 0;         // of dst, where it is computed band by band; 0: by the sizes
};

}  // namespace hourglass::detail
