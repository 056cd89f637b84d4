// Vector loops for nonlocal Bayes denoising (engine/restore/nonlocal_bayes.h): distances between patches, and a group's
// patches replaced by their estimates under the group's own normal distribution; and for a JPEG's DCT cells
// (engine/restore/consistency.h): means of truncated normal distributions. The loops of each instruction set are behind
// pointers, as those of ops/simd/gemm.h are; there are plain ones for every CPU.
#pragma once

#include <cstdint>

namespace hourglass::kernels {

constexpr int kPatchSide = 6;
constexpr int kPatchSamples = kPatchSide * kPatchSide;
// How many patches a group may have. The larger the patches, as in colour, the larger the group that their covariance
// needs.
constexpr int kSmallGroup = 32, kLargeGroup = 48;

struct RestorationLoops {
  const char* isa = nullptr;  // as oneDNN names it: "avx2"; "any" for plain C++
  int lanes = 0;              // floats in a vector

  // sums[i] = sum of squared differences between the patch at `patch` and the one at candidates + i, for i in
  // [0, count), both with rows `stride` apart. Writes, and reads behind the last candidate, up to whole vectors.
  void (*distances)(const float* patch, const float* candidates, int64_t stride, int64_t count, float* sums);
  // How many of `count` values, whole vectors of them, are below the bound.
  int64_t (*count_below)(const float* values, int64_t count, float bound);
  // Replaces the patches of a group, in units of their noise, by their maximum a posteriori estimates; returns their
  // weight.
  // patches: [count][row], with kSmallGroup or kLargeGroup of them, and `row` whole vectors that hold `samples` samples
  // and zeros behind them. A group whose variance per sample is below `flat` becomes its mean. scratch:
  // scratch_floats().
  float (*clean)(float* patches, int64_t count, int64_t samples, int64_t row, float flat, float* scratch);
  // The same with the mean and the covariance of another group, `guide`, of cleaner patches of the same places; that is
  // overwritten.
  float (*clean_guided)(float* patches, float* guide, int64_t count, int64_t samples, int64_t row, float flat,
                        float* scratch);

  // Replaces `count` values x, whole vectors of them, by mean - n step, where mean is that of N(x, sigma^2) truncated
  // to the cell [(n - 1/2) step, (n + 1/2) step], to about 1e-4 steps. Sigmas are above 0.
  void (*truncated_means)(float* values, const float* n, const float* steps, const float* sigmas, int64_t count);

  // Samples rounded up to whole vectors.
  [[nodiscard]] int64_t row_of(int64_t samples) const { return (samples + lanes - 1) / lanes * lanes; }
  // What clean() and clean_guided() need.
  static constexpr int64_t scratch_floats(int64_t count, int64_t row) {
    return 2 * count * row + row + 3 * count * count;
  }
};

// Those of the best instruction set of this CPU, as far as oneDNN may use it.
const RestorationLoops& restoration_loops();
// Those of one instruction set, without asking the CPU. Null where the compiler can't make them.
const RestorationLoops* restoration_loops_avx512();
const RestorationLoops* restoration_loops_avx2();
const RestorationLoops* restoration_loops_any();

}  // namespace hourglass::kernels
