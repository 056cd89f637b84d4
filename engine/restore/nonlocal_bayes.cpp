#include "engine/restore/nonlocal_bayes.h"

#include <algorithm>
#include <array>
#include <limits>

#include "graph/error.h"
#include "ops/loops/clones.h"

namespace hourglass {
namespace {

constexpr int kPatch = 6;  // side
constexpr int kSamples = kPatch * kPatch;
constexpr int kGroup = 40;       // patches in a group
constexpr int64_t kStep = 3;     // between reference patches
constexpr int64_t kRadius = 19;  // of the search
constexpr int64_t kWindow = 2 * kRadius + 1;
constexpr int64_t kRowsPerBand = 8;  // rows of reference patches that one task handles

// One sample of every patch of a group: the patches are the lanes.
using Lanes = float[kGroup];

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

// The group's positions, most alike first; where the image has fewer places than that, they come again.
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

// The samples of one plane, in units of its noise.
void gather(const Plane& plane, const std::array<Position, kGroup>& group, float scale, Lanes* samples) {
  for (int k = 0; k < kGroup; ++k) {
    const Position& at = group[static_cast<std::size_t>(k)];
    for (int v = 0; v < kPatch; ++v) {
      const float* row = plane.row(at.y + v) + at.x;
      for (int u = 0; u < kPatch; ++u) samples[v * kPatch + u][k] = scale * row[u];
    }
  }
}

// Rows whose sums the loops below keep at a time: in registers.
constexpr int kRows = 4;

// X' X of the stack's `samples` rows.
HG_CLONES void gram(const Lanes* x, int samples, Lanes* result) {
  for (int i = 0; i < kGroup; i += kRows) {
    float sums[kRows][kGroup] = {};
    for (int s = 0; s < samples; ++s) {
      for (int r = 0; r < kRows; ++r) {
        for (int k = 0; k < kGroup; ++k) sums[r][k] += x[s][i + r] * x[s][k];
      }
    }
    for (int r = 0; r < kRows; ++r) std::copy(sums[r], sums[r] + kGroup, result[i + r]);
  }
}

// W as in the header from X' X; returns |W|^2. Gauss and Jordan's elimination without pivoting, which a positive
// definite matrix does not need. Where contrast is a thousand times the noise and more, float does not resolve the
// noise; there it is taken for as much larger as float needs.
HG_CLONES float weights(const Lanes* gram, Lanes* w) {
  constexpr float kResolved = 1e-6F;
  float power = 0;
  for (int i = 0; i < kGroup; ++i) power += gram[i][i] / kGroup;
  const float noise = 1 + kResolved * power;
  // Rows of whole cache lines: a vector that lies across two costs twice.
  constexpr int kPadded = (kGroup + 15) / 16 * 16;
  alignas(64) float a[kGroup][kPadded] = {};
  for (int i = 0; i < kGroup; ++i) {
    for (int k = 0; k < kGroup; ++k) a[i][k] = gram[i][k] / (kGroup * noise);
    a[i][i] += 1;
  }
  for (int p = 0; p < kGroup; ++p) {
    const float inverse = 1 / a[p][p];
    a[p][p] = 1;
    for (int k = 0; k < kPadded; ++k) a[p][k] *= inverse;
    // Clears the column p. A store into it would have the load of the row wait until it is in the cache: three times
    // slower.
    alignas(64) float others[kPadded];
    for (int k = 0; k < kPadded; ++k) others[k] = k == p ? 0.0F : 1.0F;
    for (int i = 0; i < kGroup; ++i) {
      if (i == p) continue;
      const float factor = a[i][p];
      for (int k = 0; k < kPadded; ++k) a[i][k] = others[k] * a[i][k] - factor * a[p][k];
    }
  }
  float squares = 0;
  for (int i = 0; i < kGroup; ++i) {
    for (int k = 0; k < kGroup; ++k) {
      w[i][k] = (i == k ? 1.0F : 0.0F) - a[i][k];
      squares += w[i][k] * w[i][k];
    }
  }
  return squares;
}

// x = mean + x W, row by row.
HG_CLONES void recombine(Lanes* x, int samples, const Lanes* w, const float* mean) {
  for (int s = 0; s < samples; s += kRows) {
    float sums[kRows][kGroup];
    for (int r = 0; r < kRows; ++r) {
      for (int k = 0; k < kGroup; ++k) sums[r][k] = mean[s + r];
    }
    for (int i = 0; i < kGroup; ++i) {
      for (int r = 0; r < kRows; ++r) {
        for (int k = 0; k < kGroup; ++k) sums[r][k] += x[s + r][i] * w[i][k];
      }
    }
    for (int r = 0; r < kRows; ++r) std::copy(sums[r], sums[r] + kGroup, x[s + r]);
  }
}

// Takes the mean of each row out of it.
HG_CLONES void centre(Lanes* x, int samples, float* mean) {
  for (int s = 0; s < samples; ++s) {
    float sum = 0;
    for (int k = 0; k < kGroup; ++k) sum += x[s][k];
    mean[s] = sum / kGroup;
    for (int k = 0; k < kGroup; ++k) x[s][k] -= mean[s];
  }
}

// What a thread works with.
struct Workspace {
  explicit Workspace(std::size_t planes) : stack(planes * kSamples * kGroup), mean(planes * kSamples) {}

  [[nodiscard]] Lanes* rows(std::size_t plane) {
    return reinterpret_cast<Lanes*>(stack.data() + plane * kSamples * kGroup);
  }

  // Replaces the patches by what is most likely behind them; returns their weight.
  float clean() {
    const int samples = static_cast<int>(mean.size());
    centre(rows(0), samples, mean.data());
    gram(rows(0), samples, products);
    const float squares = weights(products, w);
    recombine(rows(0), samples, w, mean.data());
    return 1 / (1 + squares);
  }

  std::vector<float> stack, mean;
  Lanes products[kGroup], w[kGroup];
};

// Weighted sums of patches over some rows of the image.
struct Sums {
  int64_t first = 0;  // row
  Plane values, weights;
};

void scatter(const Lanes* samples, float scale, float weight, const std::array<Position, kGroup>& group, Sums& sums) {
  for (int k = 0; k < kGroup; ++k) {
    const Position& at = group[static_cast<std::size_t>(k)];
    for (int v = 0; v < kPatch; ++v) {
      float* values = sums.values.row(at.y - sums.first + v) + at.x;
      float* weights = sums.weights.row(at.y - sums.first + v) + at.x;
      for (int u = 0; u < kPatch; ++u) {
        values[u] += weight * scale * samples[v * kPatch + u][k];
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

std::vector<Plane> nonlocal_bayes(const std::vector<Plane>& planes, const std::vector<double>& sigmas) {
  const int64_t width = planes.at(0).width, height = planes.at(0).height;
  if (width < kPatch || height < kPatch)
    fail("nonlocal Bayes needs {0}x{0} pixels, not {1}x{2}", kPatch, width, height);
  for (const double sigma : sigmas) {
    if (!(sigma > 0)) fail("nonlocal Bayes needs noise above 0, not {}", sigma);
  }
  const std::vector<int64_t> ys = reference_places(height), xs = reference_places(width);
  std::vector<Sums> totals(planes.size());
  for (Sums& total : totals) total = {.first = 0, .values = Plane(width, height), .weights = Plane(width, height)};

  // A band of references reaches kRadius rows beyond itself, so it has sums of its own; they are added in order.
  const auto rows = static_cast<int64_t>(ys.size());
  const int64_t bands = (rows + kRowsPerBand - 1) / kRowsPerBand;
#pragma omp parallel for ordered schedule(static, 1)
  for (int64_t band = 0; band < bands; ++band) {
    const int64_t begin = band * kRowsPerBand, end = std::min(rows, begin + kRowsPerBand);
    const int64_t first = std::max<int64_t>(0, ys[static_cast<std::size_t>(begin)] - kRadius);
    const int64_t last = std::min(height, ys[static_cast<std::size_t>(end - 1)] + kRadius + kPatch);
    std::vector<Sums> sums(planes.size());
    for (Sums& s : sums) {
      s = {.first = first, .values = Plane(width, last - first), .weights = Plane(width, last - first)};
    }
    Workspace work(planes.size());
    for (int64_t r = begin; r < end; ++r) {
      for (const int64_t x : xs) {
        const auto group = find_group(planes[0], {.y = ys[static_cast<std::size_t>(r)], .x = x});
        for (std::size_t p = 0; p < planes.size(); ++p) {
          gather(planes[p], group, static_cast<float>(1 / sigmas[p]), work.rows(p));
        }
        const float weight = work.clean();
        for (std::size_t p = 0; p < planes.size(); ++p) {
          scatter(work.rows(p), static_cast<float>(sigmas[p]), weight, group, sums[p]);
        }
      }
    }
#pragma omp ordered
    for (std::size_t p = 0; p < planes.size(); ++p) {
      const std::size_t offset = static_cast<std::size_t>(first * width);
      for (std::size_t i = 0; i < sums[p].values.samples.size(); ++i) {
        totals[p].values.samples[offset + i] += sums[p].values.samples[i];
        totals[p].weights.samples[offset + i] += sums[p].weights.samples[i];
      }
    }
  }
  std::vector<Plane> result = planes;
  for (std::size_t p = 0; p < planes.size(); ++p) {
    for (std::size_t i = 0; i < result[p].samples.size(); ++i) {
      result[p].samples[i] = totals[p].values.samples[i] / totals[p].weights.samples[i];
    }
  }
  return result;
}

}  // namespace hourglass
