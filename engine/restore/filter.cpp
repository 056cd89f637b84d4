#include "engine/restore/filter.h"

#include <cmath>

#include "engine/restore/consistency.h"
#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/nonlocal_bayes.h"
#include "engine/restore/pixel_psnr.h"

namespace hourglass {
namespace {

constexpr int64_t kLeast = 8;  // pixels in width and height
constexpr int64_t kStep = 5;   // between reference patches
constexpr int64_t kShift = 2;  // of the reference patches, from search to search
// Patches are looked for again in every other pass.
constexpr int kPassesPerSearch = 2;
// How far beyond the last result a pass starts, in units of the way from the one before to it.
constexpr double kMomentum = 0.7;
// The noise of the first and of the last pass, in units of the JPEG's; between them it falls by equal factors.
constexpr double kFirstNoise = 1.3, kLastNoise = 0.6;
// After so many passes the noise is no longer guessed from the table: it is this factor times the rms difference in
// luma between their result and the JPEG.
constexpr int kPassesToMeasure = 2;
constexpr double kNoiseFactor = 2;

double rms_difference(const Plane& a, const Plane& b) {
  const auto count = static_cast<int64_t>(a.samples.size());
  return std::sqrt(squared_distance(a.samples.data(), b.samples.data(), count) / static_cast<double>(count));
}

// start = current + momentum (current - start), the point from which the next pass starts.
void extrapolate(const std::vector<Plane>& current, double momentum, std::vector<Plane>& start) {
  const auto m = static_cast<float>(momentum);
  for (std::size_t p = 0; p < current.size(); ++p) {
    const std::vector<float>& now = current[p].samples;
    std::vector<float>& before = start[p].samples;
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < now.size(); ++i) before[i] = now[i] + m * (now[i] - before[i]);
  }
}

}  // namespace

double table_noise(double mean_step) { return 0.717 * std::pow(mean_step, 0.6394) + 0.5804; }

Image filter_jpeg(const Image& start, const Image& decoded, const JpegModel& model, const FilterOptions& options,
                  const Advance& advance) {
  if (start.width < kLeast || start.height < kLeast) return start;
  const Plane luma = model.to_planes(decoded)[0];
  const int passes = options.passes;
  double noise = options.noise > 0 ? options.noise : table_noise(JpegPipeline(model).coarseness());
  std::vector<Plane> current = model.to_planes(start), next = current;
  PatchGroups groups;
  bool ended = false;
  for (int pass = 0; pass < passes && !ended; ++pass) {
    const auto stop = [&] {
      if (!ended && advance && !advance(static_cast<double>(pass) / passes)) ended = true;
      return ended;
    };
    extrapolate(current, kMomentum, next);
    if (pass % kPassesPerSearch == 0) {
      const int64_t offset = pass / kPassesPerSearch * kShift % kStep;
      groups = find_groups(next[0],
                           {.step = kStep,
                            .offset_y = offset,
                            .offset_x = offset,
                            .members = current.size() > 1 ? kernels::kLargeGroup : kernels::kSmallGroup},
                           stop);
    }
    const double fall = passes > 1 ? static_cast<double>(pass) / (passes - 1) : 0;
    std::vector<double> sigmas(current.size(), noise * kFirstNoise * std::pow(kLastNoise / kFirstNoise, fall));
    if (model.file().color == JpegColor::ycbcr) sigmas[1] = sigmas[2] = kChromaNoise * sigmas[0];
    if (ended || !nonlocal_bayes(next, sigmas, groups, stop)) break;
    to_posterior_mean(next, model, kFilterSigmaFactor);
    std::swap(current, next);
    if (pass + 1 == kPassesToMeasure && options.noise <= 0) {
      const double measured = kNoiseFactor * rms_difference(current[0], luma);
      if (measured > 0) noise = measured;
    }
  }
  if (advance && !ended) advance(1);
  return model.to_image(current);
}

}  // namespace hourglass
