// Normalisation of pixels as they are read.
#pragma once

#include <cstdint>

namespace hourglass::kernels {

// Normalises runs of channels-last pixels for kernels that make what they read; each thread calls run() for itself.
class PixelNormalizer {
 public:
  // Of pixels of `channels`; what they become lies `stride` elements apart.
  PixelNormalizer(int64_t channels, int64_t stride, float alpha);

  [[nodiscard]] int64_t period() const { return period_; }
  // Center, factor and offset, vectors of a period each.
  [[nodiscard]] int64_t coefficient_floats() const { return 3 * period_; }
  // Of the first of the channels on.
  void set_coefficients(const float* scale, const float* bias, const float* mean, const float* inv_std,
                        float* coefficients) const;
  // `buffer` has as many elements as src.
  template <class T>
  void run(const T* src, int64_t pixels, const float* coefficients, T* dst, T* buffer) const;

 private:
  [[nodiscard]] bool is_direct() const { return stride_ == channels_ || period_ == channels_; }

  int64_t channels_, stride_, period_;
  float alpha_;
};

}  // namespace hourglass::kernels
