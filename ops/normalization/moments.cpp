#include "ops/normalization/moments.h"

#include <algorithm>

#include "ops/loops/element.h"
#include "ops/normalization/rows.h"
#include "ops/normalization/scratch.h"

namespace hourglass::kernels {

// Sums of one part: folded ones in double, and those of the pixels since the last fold, in float, around the mean of
// the pixels folded last. The first pixels are summed around the mean of some of them.
struct MomentSums::PartSums {
  double *sums, *squares;  // of one fold
  double* both;            // folded so far: [channel][sum, sum of squares]
  float *shift, *sum, *square;
  int64_t* pixels;  // pixels in the float sums, and in all
};

MomentSums::MomentSums(int64_t channels, int64_t parts)
    : channels_(channels), period_(loop_period(channels)), parts_(parts) {}

std::size_t MomentSums::part_bytes() const {
  const std::size_t bytes = static_cast<std::size_t>(4 * channels_) * sizeof(double) + 2 * sizeof(int64_t) +
                            static_cast<std::size_t>(3 * period_) * sizeof(float);
  return (bytes + 63) / 64 * 64;
}

MomentSums::PartSums MomentSums::sums_of(void* scratch, int64_t index) const {
  auto* sums = reinterpret_cast<double*>(static_cast<char*>(scratch) + static_cast<std::size_t>(index) * part_bytes());
  auto* pixels = reinterpret_cast<int64_t*>(sums + 4 * channels_);
  auto* shift = reinterpret_cast<float*>(pixels + 2);
  return {sums, sums + channels_, sums + 2 * channels_, shift, shift + period_, shift + 2 * period_, pixels};
}

void MomentSums::clear(void* scratch) const { std::fill_n(static_cast<char*>(scratch), scratch_bytes(), '\0'); }

template <class T>
void MomentSums::add(void* scratch, int64_t part, const T* pixels, int64_t count) const {
  const PartSums p = sums_of(scratch, part);
  if (p.pixels[1] == 0) {
    const int64_t some = std::min(count, kFirst);
    sum_row(pixels, some * channels_, period_, p.sum);
    fold_row(p.sum, period_, channels_, p.sums);
    for (int64_t j = 0; j < period_; ++j) {
      p.shift[j] = static_cast<float>(p.sums[j % channels_] / static_cast<double>(some));
      p.sum[j] = 0;
    }
  }
  add_moments_row(pixels, count * channels_, period_, p.shift, p.sum, p.square);
  p.pixels[0] += count;
  p.pixels[1] += count;
  // While there are few pixels, each shift is the mean of as many pixels as are then summed around it.
  if (p.pixels[0] * channels_ >= kChunk || 2 * p.pixels[0] >= p.pixels[1]) fold(p);
}

void MomentSums::end_part(void* scratch, int64_t part) const { fold(sums_of(scratch, part)); }

// Folds the float sums into the double ones; the next pixels are summed around the mean of these.
void MomentSums::fold(const PartSums& p) const {
  if (p.pixels[0] == 0) return;
  fold_row(p.sum, period_, channels_, p.sums);
  fold_row(p.square, period_, channels_, p.squares);
  const auto count = static_cast<double>(p.pixels[0]);
  for (int64_t c = 0; c < channels_; ++c) {
    const auto shift = static_cast<double>(p.shift[c]);
    add_sums(count, shift, p.sums[c], p.squares[c], p.both + 2 * c);
    for (int64_t j = c; j < period_; j += channels_) p.shift[j] = static_cast<float>(shift + p.sums[c] / count);
  }
  std::fill_n(p.sum, period_, 0.0F);
  std::fill_n(p.square, period_, 0.0F);
  p.pixels[0] = 0;
}

void MomentSums::finish(void* scratch, double epsilon, float* mean, float* inv_std) const {
  const PartSums all = sums_of(scratch, 0);
  for (int64_t i = 1; i < parts_; ++i) {
    const PartSums p = sums_of(scratch, i);
    for (int64_t c = 0; c < 2 * channels_; ++c) all.both[c] += p.both[c];
    all.pixels[1] += p.pixels[1];
  }
  for (int64_t c = 0; c < channels_; ++c) {
    const Statistics statistics(all.both[2 * c], all.both[2 * c + 1], static_cast<double>(all.pixels[1]), epsilon);
    mean[c] = static_cast<float>(statistics.mean);
    inv_std[c] = static_cast<float>(statistics.inv_std);
  }
}

template void MomentSums::add<float>(void*, int64_t, const float*, int64_t) const;
template void MomentSums::add<BFloat16>(void*, int64_t, const BFloat16*, int64_t) const;

}  // namespace hourglass::kernels
