#include "ops/normalization/forward.h"

#include <algorithm>

#include "ops/loops/element.h"
#include "ops/normalization/rows.h"
#include "ops/normalization/scratch.h"

namespace hourglass::kernels {
namespace {

// Adds a chunk's count * mean and sum of squares to its split's sums. Squares are taken around a mean of the chunk, in
// float (shifted data); chunks are added up in double, where even a mean of a million standard deviations leaves
// digits. The mean of the chunk's first eighth is near enough: it is never further than sqrt(7) of the chunk's own
// standard deviations from the chunk's mean (Cauchy-Schwarz on the eighth's deviation), so at most a factor 8 cancels.
template <class T>
void add_moments(const NormalizationWalk& walk, const Scratch& scratch, int64_t worker, int64_t split, int64_t group,
                 const T* src, int64_t pixels) {
  const int64_t block = walk.v.block, period = walk.period;
  float *sum = scratch.vector(worker, 0), *square = scratch.vector(worker, 1), *shift = scratch.vector(worker, 2);
  const int64_t some = std::min(pixels, (pixels / 8 * block + period - 1) / period * period / block + 1);
  double *sums = scratch.folded(worker, 0), *squares = scratch.folded(worker, 1);
  sum_row(src, some * block, period, sum);
  fold_row(sum, period, block, sums);
  for (int64_t lane = 0; lane < block; ++lane) {
    const auto center = static_cast<float>(sums[lane] / static_cast<double>(some));
    for (int64_t j = lane; j < period; j += block) shift[j] = center;
  }
  std::fill_n(sum, period, 0.0F);
  std::fill_n(square, period, 0.0F);
  add_moments_row(src, pixels * block, period, shift, sum, square);
  fold_row(sum, period, block, sums);
  fold_row(square, period, block, squares);
  const auto count = static_cast<double>(pixels);
  for (int64_t lane = 0; lane < block; ++lane) {
    add_sums(count, static_cast<double>(shift[lane]), sums[lane], squares[lane],
             scratch.sum(split, group * block + lane));
  }
}

// Sums the moments of one split of groups [first, last).
template <class T>
void reduce_moments(const NormalizationWalk& walk, const Scratch& scratch, int64_t worker, int64_t split, int64_t first,
                    int64_t last, const T* src) {
  scratch.clear(split, first, last);
  walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
    add_moments(walk, scratch, worker, split, group, src + offset, pixels);
  });
}

// Statistics of a channel, from all splits' moments.
Statistics statistics_of(const NormalizationWalk& walk, const Scratch& scratch, int64_t channel, double epsilon) {
  const auto [sum, squares] = scratch.total(channel);
  return {sum, squares, walk.count(), epsilon};
}

}  // namespace

template <class T>
void normalize_forward(const Normalization& normalization, const NormalizationForward& at, double epsilon) {
  const NormalizationWalk& walk = normalization.walk;
  const Scratch scratch(walk, at.scratch);
  const Slice<T> slice(normalization, at.scratch);
  const int64_t block = walk.v.block;
  const auto* src = static_cast<const T*>(at.src);
  auto* dst = static_cast<T*>(at.dst);
  const auto reduce = [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
    reduce_moments(walk, scratch, worker, split, first, last, src);
  };
  const auto finish = [&](int64_t first, int64_t last) {
    for (int64_t c = first * block; c < last * block; ++c) {
      const int64_t group = c / block, lane = c % block;
      if (c >= walk.v.c) {  // padding stays zero
        for (int64_t which = 0; which < 3; ++which) scratch.set(group, which, lane, 0);
        continue;
      }
      const auto [mean, inv_std] = statistics_of(walk, scratch, c, epsilon);
      at.mean[c] = static_cast<float>(mean);
      at.inv_std[c] = static_cast<float>(inv_std);
      // src - float(mean) is exact near the mean; what the rounding to float lost goes into the offset.
      const double factor = static_cast<double>(at.scale[c]) * inv_std;
      scratch.set(group, 0, lane, mean);
      scratch.set(group, 1, lane, factor);
      scratch.set(group, 2, lane, static_cast<double>(at.bias[c]) - (mean - static_cast<double>(at.mean[c])) * factor);
    }
  };
  walk.run(reduce, finish, [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
    walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
      normalize_row(src + offset, slice.target(dst, worker, offset), slice.step(), pixels * block, walk.period,
                    scratch.of(group), normalization.alpha);
      slice.store(dst, worker, offset, pixels);
    });
  });
}

template <class T>
void normalization_statistics(const Normalization& normalization, const NormalizationStatistics& at, double epsilon) {
  const NormalizationWalk& walk = normalization.walk;
  const Scratch scratch(walk, at.scratch);
  const auto* src = static_cast<const T*>(at.src);
  const auto reduce = [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
    reduce_moments(walk, scratch, worker, split, first, last, src);
  };
  const auto finish = [&](int64_t first, int64_t last) {
    for (int64_t c = first * walk.v.block; c < std::min(last * walk.v.block, walk.v.c); ++c) {
      const auto [mean, inv_std] = statistics_of(walk, scratch, c, epsilon);
      at.mean[c] = static_cast<float>(mean);
      at.inv_std[c] = static_cast<float>(inv_std);
    }
  };
  walk.run(reduce, finish, [](int64_t, int64_t, int64_t, int64_t) {});
}

template <class T>
void normalize_apply(const Normalization& normalization, const NormalizationApply& at) {
  const NormalizationWalk& walk = normalization.walk;
  const Scratch scratch(walk, at.scratch);
  const Slice<T> slice(normalization, at.scratch);
  const auto* src = static_cast<const T*>(at.src);
  auto* dst = static_cast<T*>(at.dst);
  set_coefficients(walk, scratch, at.scale, at.bias, at.mean, at.inv_std);
  walk.for_parts([&](int64_t worker, int64_t part) {
    walk.for_share(part, walk.parts, 0, walk.v.groups, [&](int64_t group, int64_t offset, int64_t pixels) {
      normalize_row(src + offset, slice.target(dst, worker, offset), slice.step(), pixels * walk.v.block, walk.period,
                    scratch.of(group), normalization.alpha);
      slice.store(dst, worker, offset, pixels);
    });
  });
}

template void normalize_forward<float>(const Normalization&, const NormalizationForward&, double);
template void normalize_forward<BFloat16>(const Normalization&, const NormalizationForward&, double);
template void normalization_statistics<float>(const Normalization&, const NormalizationStatistics&, double);
template void normalization_statistics<BFloat16>(const Normalization&, const NormalizationStatistics&, double);
template void normalize_apply<float>(const Normalization&, const NormalizationApply&);
template void normalize_apply<BFloat16>(const Normalization&, const NormalizationApply&);

}  // namespace hourglass::kernels
