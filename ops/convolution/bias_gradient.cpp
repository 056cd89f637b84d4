#include "ops/convolution/bias_gradient.h"

#include <algorithm>

#include "ops/loops/element.h"
#include "ops/loops/rows.h"
#include "ops/normalization/rows.h"

namespace hourglass::kernels {

BiasGradient::BiasGradient(const View& diff_dst, bool is_bf16, ScratchLayout& scratch)
    : view_(diff_dst),
      is_bf16_(is_bf16),
      period_(loop_period(diff_dst.c)),
      parts_(parts_of(diff_dst.n * diff_dst.h)),
      sums_(scratch.add(static_cast<std::size_t>(2 * parts_ * period_) * sizeof(float))) {}

void BiasGradient::run(const void* diff_dst, void* scratch, float* diff_bias) const {
  auto* const sums = reinterpret_cast<float*>(static_cast<char*>(scratch) + sums_);
  const int64_t rows = view_.n * view_.h;
  with_element(is_bf16_, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    parallel_for(parts_, [&](int64_t part) {
      float *sum = sums + part * period_, *of_row = sums + (parts_ + part) * period_;
      std::fill_n(sum, period_, 0.0F);
      for (int64_t row = rows * part / parts_; row < rows * (part + 1) / parts_; ++row) {
        const int64_t at = view_.offset(row / view_.h, 0, row % view_.h, 0);
        sum_row(static_cast<const T*>(diff_dst) + at, view_.w * view_.c, period_, of_row);
        add_run(of_row, sum, period_);
      }
    });
  });
  add_parts(sums, period_, period_, parts_);
  for (int64_t c = 0; c < view_.c; ++c) {
    double total = 0;
    for (int64_t j = c; j < period_; j += view_.c) total += static_cast<double>(sums[j]);
    diff_bias[c] = static_cast<float>(total);
  }
}

}  // namespace hourglass::kernels
