// Row loops over bf16 that round by an instruction (VCVTNEPS2BF16), where the CPU has AVX512_BF16: normalisation in
// both directions, and resizing with normalisation. Rounding by integer arithmetic, as in ops/loops/element.h, takes a
// third of such a loop's time. Behind pointers, so that the build stays portable and the CPU decides at run time.
#pragma once

#include <cstdint>

namespace hourglass::kernels {

struct BFloat16;

// Coefficients of a normalisation, one number per channel: vectors of `period` elements in which the channels repeat.
struct NormalizationCoefficients {
  const float *center, *factor, *offset;  // y = (src - center) * factor + offset
  const float *slope, *constant;          // backward: diff_src = factor * dz + slope * (src - center) + constant
};

// As normalize_row() and grad_apply_row() in ops/normalization/rows.cpp.
struct Bf16Rows {
  void (*normalize)(const BFloat16* src, BFloat16* dst, int64_t step, int64_t count, int64_t period,
                    const NormalizationCoefficients& k, float alpha);
  void (*grad_apply)(const BFloat16* diff_dst, int64_t step, const BFloat16* src, BFloat16* diff_src, int64_t count,
                     int64_t period, const NormalizationCoefficients& k, float alpha);
  // The same for a gradient in f32.
  void (*grad_apply_wide)(const float* diff_dst, int64_t step, const BFloat16* src, BFloat16* diff_src, int64_t count,
                          int64_t period, const NormalizationCoefficients& k, float alpha);
  // The two halves of SeparableMap::make_normalized() (ops/resampling/separable_map.h) for two taps each way and a
  // multiple of 16 channels. combine: dst = normalised (weight_a * a + weight_b * b), of two rows. gather: pixels of a
  // combined row are mixed. Tap t of pixel o < period is pixel index[t * stride + o] - first of src; pixels of the next
  // period have the same weights, and their taps are src_step elements further on.
  void (*combine)(const BFloat16* a, const BFloat16* b, float weight_a, float weight_b, int64_t count, int64_t period,
                  const NormalizationCoefficients& k, float* dst);
  void (*gather)(const float* src, int32_t first, const int32_t* index, const float* weight, int64_t stride,
                 int64_t channels, int64_t period, int64_t src_step, int64_t count, BFloat16* dst, int64_t step);
};

// The loops for this CPU. Null where the CPU, or the build, has none.
const Bf16Rows* bf16_rows();

// The loops without asking the CPU; they may be called only on one with AVX512_BF16. Null where the build has none.
const Bf16Rows* bf16_rows_avx512();

}  // namespace hourglass::kernels
