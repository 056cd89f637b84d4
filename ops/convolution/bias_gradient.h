// The gradient of a convolution's bias: the sum of diff_dst over images and pixels, in f32, for kernels that do
// not compute it as they read diff_dst. Rows are summed in parts, and the parts in order: the same number of threads
// gives the same bytes.
#pragma once

#include "ops/loops/parallel.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

class BiasGradient {
 public:
  // diff_dst: channels-last, rows without gaps, in f32 or bf16. Books what run() needs of the scratch memory.
  BiasGradient(const View& diff_dst, bool is_bf16, ScratchLayout& scratch);

  // Writes diff_bias, one value for each channel.
  void run(const void* diff_dst, void* scratch, float* diff_bias) const;

 private:
  View view_;
  bool is_bf16_;
  int64_t period_, parts_;
  std::size_t sums_;  // offset of the sums, [parts][period], and of a row's sums, [parts][period], behind them
};

}  // namespace hourglass::kernels
