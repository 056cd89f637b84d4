#include "engine/restore/noise_filter.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "engine/restore/nonlocal_bayes.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr int64_t kNoisyPatchStep = 5;   // between reference patches
constexpr int64_t kNoisyPatchShift = 2;  // of the reference patches, from pass to pass
constexpr float kRange = 255;
constexpr double kAddedAgain = 0.1;
// A pass, with its noise in units of the true one. A group of fewer patches than a patch has samples, as in colour,
// takes more of the noise for structure. Chosen on the reference photographs (bench/README.md, "Noise").
struct Pass {
  double noise = 1;
  bool guided = false;  // from the noisy photograph, with the last result as the guide
};
constexpr Pass kGrayPasses[] = {{1.5}, {1}, {0.8}, {0.6, true}};
constexpr Pass kColourPasses[] = {{2}, {1.4}, {1}, {0.8, true}, {0.6, true}};

// Rows: the turned colours; orthonormal, so that its transpose turns them back.
constexpr float kTurn[3][3] = {
    {0.57735027F, 0.57735027F, 0.57735027F}, {0.70710678F, 0, -0.70710678F}, {0.40824829F, -0.81649658F, 0.40824829F}};

std::vector<Plane> to_turned(const Image& image) {
  std::vector<Plane> planes(static_cast<std::size_t>(image.channels), Plane(image.width, image.height));
  const int64_t pixels = image.plane_size();
  for (int p = 0; p < image.channels; ++p) {
    std::vector<float>& to = planes[static_cast<std::size_t>(p)].samples;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < pixels; ++i) {
      float sum = 0;
      for (int c = 0; c < image.channels; ++c) sum += (image.channels == 1 ? 1 : kTurn[p][c]) * image.plane(c)[i];
      to[static_cast<std::size_t>(i)] = kRange * sum;
    }
  }
  return planes;
}

Image to_image(const std::vector<Plane>& planes) {
  Image image(planes[0].width, planes[0].height, static_cast<int>(planes.size()));
  const int64_t pixels = image.plane_size();
  for (int c = 0; c < image.channels; ++c) {
    float* to = image.plane(c);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < pixels; ++i) {
      float sum = 0;
      for (int p = 0; p < image.channels; ++p) {
        const float share = image.channels == 1 ? 1 : kTurn[p][c];
        sum += share * planes[static_cast<std::size_t>(p)].samples[static_cast<std::size_t>(i)];
      }
      to[i] = sum / kRange;
    }
  }
  return image;
}

// from + share (noisy - from), in `noisy`.
void give_back(const std::vector<Plane>& from, std::vector<Plane>& noisy, double share) {
  const auto part = static_cast<float>(share);
  for (std::size_t p = 0; p < from.size(); ++p) {
    const std::vector<float>& now = from[p].samples;
    std::vector<float>& to = noisy[p].samples;
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < now.size(); ++i) to[i] = now[i] + part * (to[i] - now[i]);
  }
}

}  // namespace

Image filter_noise(const Image& noisy, double sigma, const Advance& advance) {
  if (!(sigma > 0)) fail("there is no noise to be filtered: its standard deviation is {}", sigma);
  if (std::min(noisy.width, noisy.height) < kLeastToFilter) return noisy;
  const bool in_colour = noisy.channels == 3;
  const std::span<const Pass> passes = in_colour ? std::span<const Pass>(kColourPasses) : kGrayPasses;
  const std::vector<Plane> source = to_turned(noisy);
  std::vector<Plane> current = source;
  bool ended = false;
  for (std::size_t done = 0; done < passes.size() && !ended; ++done) {
    const Pass& pass = passes[done];
    const auto stop = [&] {
      if (!ended && advance && !advance(static_cast<double>(done) / static_cast<double>(passes.size()))) ended = true;
      return ended;
    };
    const int64_t offset = static_cast<int64_t>(done) * kNoisyPatchShift % kNoisyPatchStep;
    const PatchGroups groups = find_groups(current[0],
                                           {.step = kNoisyPatchStep,
                                            .offset_y = offset,
                                            .offset_x = offset,
                                            .members = in_colour ? kernels::kLargeGroup : kernels::kSmallGroup},
                                           stop);
    if (ended) break;
    std::vector<Plane> next = source;
    if (done > 0 && !pass.guided) give_back(current, next, kAddedAgain);
    const std::vector<double> sigmas(next.size(), kRange * sigma * pass.noise);
    const std::span<const Plane> guide = pass.guided ? std::span<const Plane>(current) : std::span<const Plane>();
    if (!guided_bayes(next, guide, sigmas, groups, stop)) break;
    current = std::move(next);
  }
  if (advance && !ended) advance(1);
  return to_image(current);
}

}  // namespace hourglass
