// Nonlocal Bayes: similar patches of an image, wherever they lie, clean each other.
//
// After the second step of NL-Bayes (Lebrun, Buades, Morel, SIAM Journal on Imaging Sciences 6, 2013): for each
// reference patch, the K patches most alike form a group. Their own mean m and covariance C are taken for the
// distribution that they come from, and each patch p becomes what is then most likely behind it,
//
//   m + C (C + sigma^2 I)^-1 (p - m);
//
// all go back where they came from, averaged with weights 1 / (1 + trace W), where W is the K x K matrix that says how
// much of each patch is in each result. With the centred patches as the columns of X, C = X X' / K and
//
//   C (C + sigma^2 I)^-1 X = X W,    W = I - (X' X / (K sigma^2) + I)^-1,
//
// so the K x K system is all that is solved, by Cholesky's factors, however many samples a patch has.
//
// One pass is two steps, so that positions which were found once can serve more passes than one:
//
//   const PatchGroups groups = find_groups(planes[0], {.step = 5});
//   nonlocal_bayes(planes, sigmas, groups);
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/restore/jpeg_model.h"
#include "ops/simd/restoration_loops.h"

namespace hourglass {

// The least width and height.
inline constexpr int64_t kLeastForPatches = kernels::kPatchSide;

// Where reference patches lie: in every step-th row, of them at every step-th column, counted from the offsets (below
// the step), and besides in the first and last row and column.
struct PatchGrid {
  int64_t step = 3;  // at most 6, the patches' side
  int64_t offset_y = 0, offset_x = 0;
  int64_t members = kernels::kSmallGroup;  // of a group, or kLargeGroup
};

// The patches most like each reference patch, among those up to 19 pixels away.
struct PatchGroups {
  struct Offset {  // from the reference patch
    int8_t y = 0, x = 0;
  };
  int64_t width = 0, height = 0;  // of the plane
  std::vector<int64_t> ys, xs;    // of the reference patches
  int64_t members = 0;            // of a group
  // [ys][xs][members]; where there are fewer places than a group has members, they come again.
  std::vector<Offset> offsets;

  // The group of the reference patch at ys[row], xs[column].
  [[nodiscard]] std::span<const Offset> group(std::size_t row, std::size_t column) const {
    const auto count = static_cast<std::size_t>(members);
    return std::span(offsets).subspan((row * xs.size() + column) * count, count);
  }
};

// `stop` is asked now and then; once it says so, the groups are not complete.
PatchGroups find_groups(const Plane& guide, const PatchGrid& grid, const std::function<bool()>& stop = {});

// Filters the planes, of equal size, one per colour component; the vector of a patch holds the samples of all planes,
// so that colour follows structure. sigmas: of the noise in each plane, in grey levels, above 0. `loops`: for tests.
// The result does not depend on the number of threads. Once `stop` says so, which is asked now and then, the planes
// stay as they are, and the result is false.
bool nonlocal_bayes(std::vector<Plane>& planes, const std::vector<double>& sigmas, const PatchGroups& groups,
                    const std::function<bool()>& stop = {},
                    const kernels::RestorationLoops& loops = kernels::restoration_loops());

// The same, with the groups' means and covariances as `guide` has them, an estimate of what is behind the planes, of
// their number and size: the second step of NL-Bayes as its authors have it. Without a guide it is nonlocal_bayes().
bool guided_bayes(std::vector<Plane>& planes, std::span<const Plane> guide, const std::vector<double>& sigmas,
                  const PatchGroups& groups, const std::function<bool()>& stop = {},
                  const kernels::RestorationLoops& loops = kernels::restoration_loops());

}  // namespace hourglass
