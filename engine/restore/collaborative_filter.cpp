#include "engine/restore/collaborative_filter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/restore/dct.h"
#include "graph/error.h"
#include "ops/detail/loop.h"

namespace hourglass {
namespace {

constexpr int kPatch = 8;  // side
constexpr int kSamples = kPatch * kPatch;
constexpr int kGroup = 16;       // patches in a stack
constexpr int64_t kStep = 3;     // between reference patches
constexpr int64_t kRadius = 19;  // of the search
constexpr int64_t kWindow = 2 * kRadius + 1;
constexpr int64_t kRowsPerBand = 8;  // rows of reference patches that one task handles

// A stack of patches, sample by sample, so that the patches are the lanes.
using Stack = float[kSamples][kGroup];

template <int n>
struct Dct {
  float matrix[n][n];
  Dct() {
    for (int k = 0; k < n; ++k) {
      for (int i = 0; i < n; ++i) matrix[k][i] = static_cast<float>(dct_basis(n, k, i));
    }
  }
};
const Dct<kPatch>& patch_dct() {
  static const Dct<kPatch> dct;
  return dct;
}
const Dct<kGroup>& group_dct() {
  static const Dct<kGroup> dct;
  return dct;
}

struct Position {
  int64_t y = 0, x = 0;
};

// Sums of squared differences between the patch at `reference` and those at `row`, row + 1, ..., row + count - 1.
HG_CLONES void distances(const float* reference, const float* row, int64_t stride, int64_t count, float* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] = 0;
  for (int v = 0; v < kPatch; ++v) {
    for (int u = 0; u < kPatch; ++u) {
      const float value = reference[v * stride + u];
      const float* other = row + v * stride + u;
      for (int64_t i = 0; i < count; ++i) {
        const float difference = other[i] - value;
        sums[i] += difference * difference;
      }
    }
  }
}

// The stack's positions, most alike first; where the image has fewer places than that, they come again.
std::array<Position, kGroup> find_group(const Plane& plane, const Position& reference) {
  const int64_t y0 = std::max<int64_t>(0, reference.y - kRadius);
  const int64_t y1 = std::min(plane.height - kPatch, reference.y + kRadius);
  const int64_t x0 = std::max<int64_t>(0, reference.x - kRadius);
  const int64_t count = std::min(plane.width - kPatch, reference.x + kRadius) - x0 + 1;
  std::array<Position, kGroup> group;
  std::array<float, kGroup> best;
  best.fill(std::numeric_limits<float>::infinity());
  std::array<float, kWindow> sums;
  int found = 0;
  for (int64_t y = y0; y <= y1; ++y) {
    distances(plane.row(reference.y) + reference.x, plane.row(y) + x0, plane.width, count, sums.data());
    // The patch itself stands first, whatever else is equal to it.
    if (y == reference.y) sums[static_cast<std::size_t>(reference.x - x0)] = -1;
    for (int64_t i = 0; i < count; ++i) {
      const float sum = sums[static_cast<std::size_t>(i)];
      if (!(sum < best[kGroup - 1])) continue;
      int at = std::min(found, kGroup - 1);
      for (; at > 0 && best[static_cast<std::size_t>(at - 1)] > sum; --at) {
        best[static_cast<std::size_t>(at)] = best[static_cast<std::size_t>(at - 1)];
        group[static_cast<std::size_t>(at)] = group[static_cast<std::size_t>(at - 1)];
      }
      best[static_cast<std::size_t>(at)] = sum;
      group[static_cast<std::size_t>(at)] = {.y = y, .x = x0 + i};
      found = std::min(found + 1, kGroup);
    }
  }
  for (int i = found; i < kGroup; ++i) group[static_cast<std::size_t>(i)] = group[static_cast<std::size_t>(i - found)];
  return group;
}

void gather(const Plane& plane, const std::array<Position, kGroup>& group, Stack& stack) {
  for (int k = 0; k < kGroup; ++k) {
    const Position& at = group[static_cast<std::size_t>(k)];
    for (int v = 0; v < kPatch; ++v) {
      const float* row = plane.row(at.y + v) + at.x;
      for (int u = 0; u < kPatch; ++u) stack[v * kPatch + u][k] = row[u];
    }
  }
}

// Eight vectors of lanes, `stride` rows apart, times the matrix or its transpose.
inline void transform8(float (*rows)[kGroup], int stride, const Dct<kPatch>& dct, bool inverse) {
  float result[kPatch][kGroup];
  for (int k = 0; k < kPatch; ++k) {
    for (int lane = 0; lane < kGroup; ++lane) result[k][lane] = 0;
    for (int i = 0; i < kPatch; ++i) {
      const float factor = inverse ? dct.matrix[i][k] : dct.matrix[k][i];
      for (int lane = 0; lane < kGroup; ++lane) result[k][lane] += factor * rows[i * stride][lane];
    }
  }
  for (int k = 0; k < kPatch; ++k) {
    for (int lane = 0; lane < kGroup; ++lane) rows[k * stride][lane] = result[k][lane];
  }
}

inline void transform_patches(Stack& stack, bool inverse) {
  const Dct<kPatch>& dct = patch_dct();
  for (int v = 0; v < kPatch; ++v) transform8(stack + v * kPatch, 1, dct, inverse);
  for (int u = 0; u < kPatch; ++u) transform8(stack + u, kPatch, dct, inverse);
}

inline void transform_group(Stack& stack, bool inverse) {
  const Dct<kGroup>& dct = group_dct();
  for (auto& row : stack) {
    float result[kGroup] = {};
    for (int i = 0; i < kGroup; ++i) {
      for (int k = 0; k < kGroup; ++k) result[k] += (inverse ? dct.matrix[i][k] : dct.matrix[k][i]) * row[i];
    }
    for (int k = 0; k < kGroup; ++k) row[k] = result[k];
  }
}

// Filters the source's stack with the pilot's gains; returns the weight of the result.
HG_CLONES float shrink(Stack& pilot, Stack& source, float variance) {
  transform_patches(pilot, false);
  transform_group(pilot, false);
  transform_patches(source, false);
  transform_group(source, false);
  float squares = 0;
  for (int i = 0; i < kSamples; ++i) {
    for (int k = 0; k < kGroup; ++k) {
      const float power = pilot[i][k] * pilot[i][k];
      // The mean of the whole stack says nothing about noise.
      const float gain = i == 0 && k == 0 ? 1.0F : power / (power + variance);
      source[i][k] *= gain;
      squares += gain * gain;
    }
  }
  transform_group(source, true);
  transform_patches(source, true);
  return 1 / squares;
}

// Weighted sums of patches over some rows of the image.
struct Sums {
  int64_t first = 0;  // row
  Plane values, weights;
};

void scatter(const Stack& stack, float weight, const std::array<Position, kGroup>& group, Sums& sums) {
  for (int k = 0; k < kGroup; ++k) {
    const Position& at = group[static_cast<std::size_t>(k)];
    for (int v = 0; v < kPatch; ++v) {
      float* values = sums.values.row(at.y - sums.first + v) + at.x;
      float* weights = sums.weights.row(at.y - sums.first + v) + at.x;
      for (int u = 0; u < kPatch; ++u) {
        values[u] += weight * stack[v * kPatch + u][k];
        weights[u] += weight;
      }
    }
  }
}

// Every kStep-th place for a patch, and the last.
std::vector<int64_t> reference_places(int64_t length) {
  std::vector<int64_t> places;
  for (int64_t at = 0; at < length - kPatch; at += kStep) places.push_back(at);
  places.push_back(length - kPatch);
  return places;
}

}  // namespace

std::vector<Plane> collaborative_filter(const std::vector<Plane>& pilot, const std::vector<Plane>& source,
                                        const std::vector<double>& sigmas) {
  const int64_t width = pilot.at(0).width, height = pilot.at(0).height;
  if (width < kPatch || height < kPatch) fail("collaborative filtering needs 8x8 pixels, not {}x{}", width, height);
  const std::vector<int64_t> ys = reference_places(height), xs = reference_places(width);
  const std::size_t planes = pilot.size();
  std::vector<Sums> totals(planes);
  for (Sums& total : totals) total = {.first = 0, .values = Plane(width, height), .weights = Plane(width, height)};

  // A band of references reaches kRadius rows beyond itself, so it has sums of its own; they are added in order.
  const auto rows = static_cast<int64_t>(ys.size());
  const int64_t bands = (rows + kRowsPerBand - 1) / kRowsPerBand;
#pragma omp parallel for ordered schedule(static, 1)
  for (int64_t band = 0; band < bands; ++band) {
    const int64_t begin = band * kRowsPerBand, end = std::min(rows, begin + kRowsPerBand);
    const int64_t first = std::max<int64_t>(0, ys[static_cast<std::size_t>(begin)] - kRadius);
    const int64_t last = std::min(height, ys[static_cast<std::size_t>(end - 1)] + kRadius + kPatch);
    std::vector<Sums> sums(planes);
    for (Sums& s : sums) {
      s = {.first = first, .values = Plane(width, last - first), .weights = Plane(width, last - first)};
    }
    alignas(64) Stack guide, filtered;
    for (int64_t r = begin; r < end; ++r) {
      for (const int64_t x : xs) {
        const auto group = find_group(pilot[0], {.y = ys[static_cast<std::size_t>(r)], .x = x});
        for (std::size_t p = 0; p < planes; ++p) {
          if (sigmas[p] <= 0) continue;
          gather(pilot[p], group, guide);
          gather(source[p], group, filtered);
          const float weight = shrink(guide, filtered, static_cast<float>(sigmas[p] * sigmas[p]));
          scatter(filtered, weight, group, sums[p]);
        }
      }
    }
#pragma omp ordered
    for (std::size_t p = 0; p < planes; ++p) {
      const std::size_t offset = static_cast<std::size_t>(first * width);
      for (std::size_t i = 0; i < sums[p].values.samples.size(); ++i) {
        totals[p].values.samples[offset + i] += sums[p].values.samples[i];
        totals[p].weights.samples[offset + i] += sums[p].weights.samples[i];
      }
    }
  }
  std::vector<Plane> result = source;
  for (std::size_t p = 0; p < planes; ++p) {
    if (sigmas[p] <= 0) continue;
    for (std::size_t i = 0; i < result[p].samples.size(); ++i) {
      result[p].samples[i] = totals[p].values.samples[i] / totals[p].weights.samples[i];
    }
  }
  return result;
}

}  // namespace hourglass
