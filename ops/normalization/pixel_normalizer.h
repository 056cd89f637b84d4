// Normalises runs of channels-last pixels, y = LeakyRelu_alpha((x - mean) * scale * inv_std + bias), for kernels that
// normalise their source while they read it. Threads call run() independently.
#pragma once

#include <cstdint>

namespace hourglass::kernels {

// One activation, or one slice of the channels of a concatenation.
class PixelNormalizer {
 public:
  // Source pixels have `channels` elements; normalised pixels are written `stride` elements apart.
  PixelNormalizer(int64_t channels, int64_t stride, float alpha);

  [[nodiscard]] int64_t period() const { return period_; }
  // The coefficients center, factor and offset, vectors of a period each.
  [[nodiscard]] int64_t coefficient_floats() const { return 3 * period_; }
  // Pointers are those of the first of these channels.
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
