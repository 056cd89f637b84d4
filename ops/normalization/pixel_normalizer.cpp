#include "ops/normalization/pixel_normalizer.h"

#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/normalization/rows.h"

namespace hourglass::kernels {

PixelNormalizer::PixelNormalizer(int64_t channels, int64_t stride, float alpha)
    : channels_(channels), stride_(stride), period_(loop_period(channels)), alpha_(alpha) {
  if (stride != channels && channels % 16 == 0) period_ = channels;
}

void PixelNormalizer::set_coefficients(const float* scale, const float* bias, const float* mean, const float* inv_std,
                                       float* coefficients) const {
  for (int64_t j = 0; j < period_; ++j) {
    const int64_t c = j % channels_;
    coefficients[j] = mean[c];
    coefficients[period_ + j] = static_cast<float>(static_cast<double>(scale[c]) * static_cast<double>(inv_std[c]));
    coefficients[2 * period_ + j] = bias[c];
  }
}

template <class T>
void PixelNormalizer::run(const T* src, int64_t pixels, const float* coefficients, T* dst, T* buffer) const {
  const Coefficients k{coefficients, coefficients + period_, coefficients + 2 * period_, nullptr, nullptr};
  if (is_direct()) {
    return normalize_row(src, dst, stride_ == channels_ ? period_ : stride_, pixels * channels_, period_, k, alpha_);
  }
  normalize_row(src, buffer, period_, pixels * channels_, period_, k, alpha_);
  copy_lanes(buffer, channels_, dst, stride_, channels_, pixels);
}

template void PixelNormalizer::run<float>(const float*, int64_t, const float*, float*, float*) const;
template void PixelNormalizer::run<BFloat16>(const BFloat16*, int64_t, const float*, BFloat16*, BFloat16*) const;

}  // namespace hourglass::kernels
