#include "ops/convolution/upsampled/blurred_gradient.h"

#include <algorithm>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/rows.h"

namespace hourglass::kernels {
namespace {

// to[i] = the sum over t of weights[t] * from[t][i].
template <class T>
HG_CLONES void mix_four(const T* const* from, const float* weights, int64_t count, float* to) {
  const float w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3];
  const T *x0 = from[0], *x1 = from[1], *x2 = from[2], *x3 = from[3];
  for (int64_t i = 0; i < count; ++i) {
    to[i] = w0 * load(x0 + i) + w1 * load(x1 + i) + w2 * load(x2 + i) + w3 * load(x3 + i);
  }
}
template <class T>
HG_CLONES void scale(const T* from, float factor, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = factor * load(from + i);
}

// Blurs along the row for every second pixel: pixel i is the sum over t of weights[t] * pixel 2 * i + t, `channels` of
// it.
HG_CLONES void mix_pixels(const float* from, int64_t pixel, const float* weights, int64_t count, int64_t channels,
                          float* to, int64_t width) {
  const float w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3];
  for (int64_t i = 0; i < count; ++i) {
    const float *x0 = from + 2 * i * pixel, *x1 = x0 + pixel, *x2 = x1 + pixel, *x3 = x2 + pixel;
    float* y = to + i * width;
    for (int64_t c = 0; c < channels; ++c) y[c] = w0 * x0[c] + w1 * x1[c] + w2 * x2[c] + w3 * x3[c];
  }
}

}  // namespace

BlurredGradient::BlurredGradient(const BlurAxis& h, const BlurAxis& w, const View& dst, bool is_bf16)
    : h_(h.blur), w_(w.blur), dst_(dst), is_bf16_(is_bf16) {
  std::reverse(h_.begin(), h_.end());
  std::reverse(w_.begin(), w_.end());
}

bool BlurredGradient::blur_columns(const void* diff_dst, int64_t image, int64_t r, int64_t column, int64_t count,
                                   float* mixed) const {
  const int64_t pixels = 2 * count + 3, left = 2 * column - 1;
  const int64_t from = std::max<int64_t>(left, 0), to = std::min(left + pixels, dst_.w);
  std::array<int64_t, 4> lines = {};
  std::array<float, 4> weights = {};
  std::size_t terms = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const int64_t line = r - 1 + static_cast<int64_t>(i);
    if (h_[i] == 0 || line < 0 || line >= dst_.h) continue;
    lines[terms] = line;
    weights[terms++] = h_[i];
  }
  if (terms == 0 || from >= to) return false;
  std::fill_n(mixed, (from - left) * dst_.c, 0.0F);
  std::fill_n(mixed + (to - left) * dst_.c, (left + pixels - to) * dst_.c, 0.0F);
  with_element(is_bf16_, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    std::array<const T*, 4> rows = {};
    for (std::size_t i = 0; i < terms; ++i) {
      rows[i] = static_cast<const T*>(diff_dst) + dst_.offset(image, 0, lines[i], from);
    }
    float* at = mixed + (from - left) * dst_.c;
    const int64_t elements = (to - from) * dst_.c;
    if (terms == 4) return mix_four(rows.data(), weights.data(), elements, at);
    scale(rows[0], weights[0], elements, at);
    for (std::size_t i = 1; i < terms; ++i) add_scaled(rows[i], weights[i], elements, at);
  });
  return true;
}

void BlurredGradient::blur_row(const float* mixed, int64_t phase, int64_t count, int64_t first, int64_t channels,
                               float* to, int64_t width) const {
  mix_pixels(mixed + phase * dst_.c + first, dst_.c, w_.data(), count, channels, to, width);
}

}  // namespace hourglass::kernels
