#include "engine/restore/nonlocal_bayes.h"

#include <omp.h>
#include <Eigen/Core>

#include <algorithm>
#include <atomic>
#include <limits>
#include <span>

#include "graph/error.h"
#include "ops/loops/clones.h"

namespace hourglass {
namespace {

using kernels::kPatchSamples;
using kernels::kPatchSide;
using kernels::RestorationLoops;

constexpr int64_t kRadius = 19;  // of the search
constexpr int64_t kWindow = 2 * kRadius + 1;
constexpr int64_t kMostLanes = 16;
constexpr int64_t kRowsPerBand = 8;  // rows of reference patches that one task handles
// A group whose variance, in units of the noise's, is below this becomes its mean: nothing else can be seen in it.
constexpr float kFlat = 0.05F;
// The same where there are several planes, which share the variance unevenly.
constexpr float kFlatInColour = 0.002F;

std::vector<int64_t> reference_places(int64_t length, int64_t step, int64_t offset) {
  std::vector<int64_t> places;
  if (offset > 0) places.push_back(0);
  for (int64_t at = offset; at < length - kPatchSide; at += step) places.push_back(at);
  places.push_back(length - kPatchSide);
  return places;
}

// The places [begin, end) in one direction where the patches lie that are compared with the one at `reference`.
struct Range {
  int64_t begin, end;
  Range(int64_t reference, int64_t length)
      : begin(std::max<int64_t>(0, reference - kRadius)), end(std::min(length - kPatchSide, reference + kRadius) + 1) {}
  [[nodiscard]] int64_t size() const { return end - begin; }
};

// The distances of one reference patch to all patches around it, in rows of whole vectors.
class Distances {
 public:
  explicit Distances(const RestorationLoops& loops) : loops_(loops), values_(kWindow * (kWindow + kMostLanes)) {}

  // The plane's rows have room behind them for a vector more.
  void measure(const Plane& plane, int64_t y, int64_t x, const Range& ys, const Range& xs) {
    row_ = loops_.row_of(xs.size());
    count_ = ys.size() * row_;
    for (int64_t at = ys.begin; at < ys.end; ++at) {
      float* sums = values_.data() + (at - ys.begin) * row_;
      loops_.distances(plane.row(y) + x, plane.row(at) + xs.begin, plane.width, xs.size(), sums);
      std::fill(sums + xs.size(), sums + row_, kNone);
    }
    // The patch itself stands first, whatever else is equal to it.
    values_[static_cast<std::size_t>((y - ys.begin) * row_ + x - xs.begin)] = kSelf;
  }

  // Calls f(index, distance) for the `wanted` smallest distances, and for up to kSpare that come next. Of distances
  // that are equal the first ones are taken.
  template <typename F>
  void for_each_nearest(int64_t wanted, const F& f) {
    const Bounds bounds = separate(wanted);
    if (bounds.below_high <= wanted + kSpare) return for_each_in(kSelf, bounds.high, bounds.below_high, f);
    const int64_t less = loops_.count_below(values_.data(), count_, bounds.low);
    for_each_in(kSelf, bounds.low, less, f);
    for_each_in(bounds.low, bounds.high, wanted - less, f);
  }

  [[nodiscard]] int64_t row() const { return row_; }

  static constexpr int64_t kSpare = 8;

 private:
  // Fewer than those wanted are below `low`, at least as many below `high`: hardly more, or all between are equal.
  struct Bounds {
    float low, high;
    int64_t below_high;
  };

  // The bound of the last patch is tried first: neighbours are alike.
  Bounds separate(int64_t wanted) {
    Bounds bounds{.low = kSelf / 2, .high = kNone, .below_high = count_};
    float tried = last_bound_;
    for (int round = 0; round < 64; ++round) {
      const int64_t below = loops_.count_below(values_.data(), count_, tried);
      if (below < wanted) {
        bounds.low = tried;
      } else {
        bounds.high = tried, bounds.below_high = below;
        if (below <= wanted + kSpare) break;
      }
      const float low = std::max(0.0F, bounds.low);
      const float next = bounds.high == kNone ? 2 * low + 1 : low + (bounds.high - low) / 2;
      if (!(next > bounds.low && next < bounds.high)) break;
      tried = next;
    }
    last_bound_ = bounds.high;
    return bounds;
  }

  // Calls f(index, distance) for the first `most` distances in [from, to).
  template <typename F>
  void for_each_in(float from, float to, int64_t most, const F& f) const {
    constexpr int64_t kStretch = 16;
    for (int64_t i = 0; i < count_ && most > 0; i += kStretch) {
      const int64_t end = std::min(i + kStretch, count_);
      // Most stretches have none.
      if (loops_.count_below(values_.data() + i, end - i, to) == 0) continue;
      for (int64_t k = i; k < end && most > 0; ++k) {
        const float distance = values_[static_cast<std::size_t>(k)];
        if (distance < from || !(distance < to)) continue;
        f(k, distance);
        --most;
      }
    }
  }

  static constexpr float kNone = std::numeric_limits<float>::max();  // no patch there
  static constexpr float kSelf = -1;                                 // before all others
  const RestorationLoops& loops_;
  std::vector<float> values_;
  int64_t row_ = 0, count_ = 0;
  float last_bound_ = 1;
};

// Fills the group of the reference patch at y, x.
void find_nearest(Distances& distances, const Plane& plane, int64_t height, int64_t width, int64_t y, int64_t x,
                  std::span<PatchGroups::Offset> group) {
  const Range ys(y, height), xs(x, width);
  distances.measure(plane, y, x, ys, xs);
  struct Candidate {
    float distance;
    int64_t index;
  };
  const std::size_t members = group.size();
  std::array<Candidate, kernels::kLargeGroup + Distances::kSpare> found;
  std::size_t count = 0;
  distances.for_each_nearest(
      std::min(static_cast<int64_t>(members), ys.size() * xs.size()),
      [&](int64_t index, float distance) { found[count++] = {.distance = distance, .index = index}; });
  const auto nearer = [](const Candidate& a, const Candidate& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.index < b.index;
  };
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(count);
  if (count > members) {
    // Those that are left stay in their order, which therefore does not depend on how many more were found.
    auto ranked = found;
    const auto last = ranked.begin() + static_cast<std::ptrdiff_t>(members) - 1;
    std::nth_element(ranked.begin(), last, ranked.begin() + (end - found.begin()), nearer);
    static_cast<void>(std::remove_if(found.begin(), end, [&](const Candidate& one) { return nearer(*last, one); }));
    count = members;
  } else if (count < members) {
    std::sort(found.begin(), end, nearer);
  }
  for (std::size_t k = 0; k < members; ++k) {
    const int64_t index = found[k % count].index;
    group[k] = {.y = static_cast<int8_t>(ys.begin + index / distances.row() - y),
                .x = static_cast<int8_t>(xs.begin + index % distances.row() - x)};
  }
}

// What a thread works with.
class Workspace {
 public:
  Workspace(const RestorationLoops& loops, std::size_t planes, int64_t members)
      : loops_(loops),
        members_(members),
        samples_(static_cast<int64_t>(planes) * kPatchSamples),
        row_(loops.row_of(samples_)),
        patches_(Floats::Zero(members * row_)),
        guide_(Floats::Zero(members * row_)),
        scratch_(Floats::Zero(RestorationLoops::scratch_floats(members, row_))) {}

  // The samples of plane p of patch k.
  [[nodiscard]] float* patch(int64_t k, std::size_t p) { return patches_.data() + place(k, p); }
  [[nodiscard]] float* guide(int64_t k, std::size_t p) { return guide_.data() + place(k, p); }
  float clean() { return loops_.clean(patches_.data(), members_, samples_, row_, flat(), scratch_.data()); }
  float clean_guided() {
    return loops_.clean_guided(patches_.data(), guide_.data(), members_, samples_, row_, flat(), scratch_.data());
  }

 private:
  [[nodiscard]] int64_t place(int64_t k, std::size_t p) const {
    return k * row_ + static_cast<int64_t>(p) * kPatchSamples;
  }
  [[nodiscard]] float flat() const { return samples_ == kPatchSamples ? kFlat : kFlatInColour; }

  using Floats = Eigen::ArrayXf;  // whose memory is aligned for vectors
  const RestorationLoops& loops_;
  int64_t members_, samples_, row_;
  Floats patches_, guide_, scratch_;
};

void gather(const float* from, int64_t stride, float scale, float* to) {
  for (int v = 0; v < kPatchSide; ++v) {
    for (int u = 0; u < kPatchSide; ++u) to[v * kPatchSide + u] = scale * from[v * stride + u];
  }
}

void scatter(const float* from, float scale, float* to, int64_t stride) {
  for (int v = 0; v < kPatchSide; ++v) {
    for (int u = 0; u < kPatchSide; ++u) to[v * stride + u] += scale * from[v * kPatchSide + u];
  }
}

// Columns of a plane whose rows don't compete for the same lines of a cache: an odd number of lines of 64 bytes, where
// widths as 2048 or 4096 have all rows of a patch in one set.
int64_t spread(int64_t width) { return ((width + 15) / 16 | 1) * 16; }

// Rows [first, first + rows) of several planes.
class Window {
 public:
  Window(std::size_t planes, int64_t width, int64_t most_rows)
      : width_(width), planes_(planes, Plane(spread(width), most_rows)) {}

  void copy(std::span<const Plane> from, int64_t first, int64_t rows) {
    move_to(first, rows);
    for (std::size_t p = 0; p < planes_.size(); ++p) {
      for (int64_t y = 0; y < rows; ++y) std::copy_n(from[p].row(first + y), width_, planes_[p].row(y));
    }
  }
  void clear(int64_t first, int64_t rows) {
    move_to(first, rows);
    for (Plane& plane : planes_) std::fill_n(plane.samples.begin(), rows * plane.width, 0.0F);
  }
  void add_to(std::vector<Plane>& sums) const {
    for (std::size_t p = 0; p < planes_.size(); ++p) {
      for (int64_t y = 0; y < rows_; ++y) {
        const float* from = planes_[p].row(y);
        float* to = sums[p].row(first_ + y);
        for (int64_t x = 0; x < width_; ++x) to[x] += from[x];
      }
    }
  }

  [[nodiscard]] int64_t stride() const { return planes_.empty() ? 0 : planes_[0].width; }
  // Of the image's row y.
  [[nodiscard]] float* at(std::size_t plane, int64_t y, int64_t x) { return planes_[plane].row(y - first_) + x; }

 private:
  void move_to(int64_t first, int64_t rows) { first_ = first, rows_ = rows; }
  int64_t width_, first_ = 0, rows_ = 0;
  std::vector<Plane> planes_;
};

// out[i] = sum of the kPatchSide values before and at i, where there are so many.
HG_CLONES void sum_behind(const float* values, int64_t count, float* out) {
  for (int64_t i = 0; i < std::min<int64_t>(kPatchSide - 1, count); ++i) {
    out[i] = 0;
    for (int64_t k = 0; k <= i; ++k) out[i] += values[k];
  }
  for (int64_t i = kPatchSide - 1; i < count; ++i) {
    float sum = 0;
    for (int64_t k = 0; k < kPatchSide; ++k) sum += values[i - k];
    out[i] = sum;
  }
}

HG_CLONES void add_row(const float* values, int64_t count, float* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] += values[i];
}

HG_CLONES void divide_row(const float* sums, const float* weights, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = sums[i] / weights[i];
}

}  // namespace

PatchGroups find_groups(const Plane& guide, const PatchGrid& grid, const std::function<bool()>& stop) {
  if (guide.width < kPatchSide || guide.height < kPatchSide) {
    fail("nonlocal Bayes needs {0}x{0} pixels, not {1}x{2}", kPatchSide, guide.width, guide.height);
  }
  // Whole vectors are compared, to the right of the last patch too.
  Plane plane(spread(guide.width + kPatchSide + kMostLanes), guide.height);
  for (int64_t y = 0; y < guide.height; ++y) std::copy_n(guide.row(y), guide.width, plane.row(y));
  PatchGroups result{.width = guide.width,
                     .height = guide.height,
                     .ys = reference_places(guide.height, grid.step, grid.offset_y),
                     .xs = reference_places(guide.width, grid.step, grid.offset_x),
                     .members = grid.members,
                     .offsets = {}};
  const auto rows = static_cast<int64_t>(result.ys.size());
  const std::size_t columns = result.xs.size();
  const auto members = static_cast<std::size_t>(grid.members);
  result.offsets.resize(result.ys.size() * columns * members);
  std::atomic<bool> ended = false;
#pragma omp parallel
  {
    Distances distances(kernels::restoration_loops());
#pragma omp for schedule(dynamic, 1)
    for (int64_t r = 0; r < rows; ++r) {
      if (ended) continue;
      for (std::size_t c = 0; c < columns; ++c) {
        const std::size_t at = (static_cast<std::size_t>(r) * columns + c) * members;
        find_nearest(distances, plane, guide.height, guide.width, result.ys[static_cast<std::size_t>(r)], result.xs[c],
                     std::span(result.offsets).subspan(at, members));
      }
#pragma omp critical(hourglass_find_groups_stop)
      if (stop && stop()) ended = true;
    }
  }
  return result;
}

bool nonlocal_bayes(std::vector<Plane>& planes, const std::vector<double>& sigmas, const PatchGroups& groups,
                    const std::function<bool()>& stop, const RestorationLoops& loops) {
  return guided_bayes(planes, {}, sigmas, groups, stop, loops);
}

bool guided_bayes(std::vector<Plane>& planes, std::span<const Plane> guide, const std::vector<double>& sigmas,
                  const PatchGroups& groups, const std::function<bool()>& stop, const RestorationLoops& loops) {
  for (const double sigma : sigmas) {
    if (!(sigma > 0)) fail("nonlocal Bayes needs noise above 0, not {}", sigma);
  }
  const int64_t width = groups.width, height = groups.height;
  // Weighted sums of patches, and of the weights, each where the patch's upper left corner is.
  std::vector<Plane> totals(planes.size(), Plane(width, height)), weights(1, Plane(width, height));
  // A band of references reaches kRadius rows beyond itself, so it has sums of its own; they are added in order.
  const auto rows = static_cast<int64_t>(groups.ys.size());
  const int64_t bands = (rows + kRowsPerBand - 1) / kRowsPerBand;
  struct Band {
    std::size_t begin, end;  // rows of references
    int64_t first, height;   // rows of the image
  };
  const auto band_at = [&](int64_t index) {
    const auto begin = static_cast<std::size_t>(index * kRowsPerBand);
    const auto end = static_cast<std::size_t>(std::min(rows, (index + 1) * kRowsPerBand));
    const int64_t first = std::max<int64_t>(0, groups.ys[begin] - kRadius);
    return Band{.begin = begin,
                .end = end,
                .first = first,
                .height = std::min(height, groups.ys[end - 1] + kRadius + kPatchSide) - first};
  };
  int64_t most_rows = 0;
  for (int64_t index = 0; index < bands; ++index) most_rows = std::max(most_rows, band_at(index).height);
  std::atomic<bool> ended = false;
  const auto threads = static_cast<int>(std::min<int64_t>(bands, omp_get_max_threads()));
#pragma omp parallel num_threads(threads)
  {
    Workspace work(loops, planes.size(), groups.members);
    Window noisy(planes.size(), width, most_rows), clean(guide.size(), width, most_rows);
    Window sums(planes.size(), width, most_rows), sums_of_weights(1, width, most_rows);
    const int64_t stride = noisy.stride();
#pragma omp for ordered schedule(dynamic, 1)
    for (int64_t index = 0; index < bands; ++index) {
      const Band band = band_at(index);
      noisy.copy(planes, band.first, band.height);
      clean.copy(guide, band.first, band.height);
      sums.clear(band.first, band.height);
      sums_of_weights.clear(band.first, band.height);
      for (std::size_t r = band.begin; r < band.end && !ended; ++r) {
        for (std::size_t c = 0; c < groups.xs.size(); ++c) {
          const std::span<const PatchGroups::Offset> group = groups.group(r, c);
          const int64_t y = groups.ys[r], x = groups.xs[c];
          for (int64_t k = 0; k < groups.members; ++k) {
            const PatchGroups::Offset offset = group[static_cast<std::size_t>(k)];
            for (std::size_t p = 0; p < planes.size(); ++p) {
              const auto scale = static_cast<float>(1 / sigmas[p]);
              gather(noisy.at(p, y + offset.y, x + offset.x), stride, scale, work.patch(k, p));
              if (!guide.empty()) gather(clean.at(p, y + offset.y, x + offset.x), stride, scale, work.guide(k, p));
            }
          }
          const float weight = guide.empty() ? work.clean() : work.clean_guided();
          for (int64_t k = 0; k < groups.members; ++k) {
            const PatchGroups::Offset offset = group[static_cast<std::size_t>(k)];
            for (std::size_t p = 0; p < planes.size(); ++p) {
              scatter(work.patch(k, p), weight * static_cast<float>(sigmas[p]), sums.at(p, y + offset.y, x + offset.x),
                      stride);
            }
            *sums_of_weights.at(0, y + offset.y, x + offset.x) += weight;
          }
        }
      }
#pragma omp ordered
      {
        sums.add_to(totals);
        sums_of_weights.add_to(weights);
        if (stop && stop()) ended = true;
      }
    }
  }
  if (ended) return false;
    // Each weight counts for all samples of its patch.
#pragma omp parallel
  {
    std::vector<float> row(static_cast<std::size_t>(width));
#pragma omp for schedule(static)
    for (int64_t y = 0; y < height; ++y) {
      sum_behind(weights[0].row(y), width, row.data());
      std::copy(row.begin(), row.end(), weights[0].row(y));
    }
#pragma omp for schedule(static)
    for (int64_t y = 0; y < height; ++y) {
      std::fill(row.begin(), row.end(), 0.0F);
      for (int64_t k = std::max<int64_t>(0, y - kPatchSide + 1); k <= y; ++k) {
        add_row(weights[0].row(k), width, row.data());
      }
      for (std::size_t p = 0; p < planes.size(); ++p) {
        divide_row(totals[p].row(y), row.data(), width, planes[p].row(y));
      }
    }
  }
  return true;
}

}  // namespace hourglass
