#include "engine/restore/learn.h"

#include <omp.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/restore/consistency.h"
#include "engine/restore/filter.h"
#include "engine/restore/lesson.h"

namespace hourglass {
namespace {

constexpr int64_t kLeastSide = 64;  // of a picture to learn from
constexpr float kLevelShift = 128;
// Of the work that is told as done: what comes behind the iterations is the rest.
constexpr double kLessonShare = 0.9;

// The file's luma as a gray file of its own.
JpegCoefficients luma_of(const JpegCoefficients& file) {
  const JpegComponent& luma = file.components[0];
  return {.width = file.width,
          .height = file.height,
          .color = JpegColor::gray,
          .max_h_sampling = luma.h_sampling,
          .max_v_sampling = luma.v_sampling,
          .components = {luma},
          .warnings = {}};
}

Image gray_image(const Plane& plane) {
  Image image(plane.width, plane.height, 1);
  for (std::size_t i = 0; i < plane.samples.size(); ++i) image.pixels[i] = (plane.samples[i] + kLevelShift) / 255;
  return image;
}

}  // namespace

Learned learn_luma(const Image& filtered, const JpegModel& model, const NetworkFactory& make, const OpTable& table,
                   const LearnOptions& options, const Advance& advance) {
  const JpegCoefficients& file = model.file();
  Learned result{.image = filtered};
  const bool has_luma = file.color != JpegColor::rgb && model.ratio_h(0) == 1 && model.ratio_v(0) == 1;
  if (!has_luma || std::min(file.width, file.height) < kLeastSide) return result;
  const JpegCoefficients gray_file = luma_of(file);
  const JpegModel gray(gray_file);
  std::vector<Plane> planes = model.to_planes(filtered);
  const Image luma = gray_image(planes[0]);

  LessonOptions lesson_options;
  lesson_options.iterations = options.iterations;
  lesson_options.threads = options.threads;
  lesson_options.mosaic.seed = options.seed;
  lesson_options.precision = options.precision;
  std::optional<LearnedMap> map;
  {
    Lesson lesson(gray, luma, make, table, lesson_options);
    while (!lesson.done()) {
      lesson.step();
      result.iterations = lesson.iteration();
      const double share = static_cast<double>(result.iterations) / static_cast<double>(options.iterations);
      if (advance && !advance(kLessonShare * share)) break;
    }
    map.emplace(lesson.map());
  }
  if (options.threads > 0) omp_set_num_threads(options.threads);
  result.weight = find_blend_weight(*map, luma, gray, false, false);
  if (result.weight <= 0) return result;
  const Plane learned = gray.to_planes(apply_map(*map, gray, false, false))[0];
  const auto w = static_cast<float>(result.weight);
  for (std::size_t i = 0; i < learned.samples.size(); ++i) {
    planes[0].samples[i] = (1 - w) * planes[0].samples[i] + w * learned.samples[i];
  }
  to_posterior_mean(planes, model, kFilterSigmaFactor);
  result.image = model.to_image(planes);
  if (advance) advance(1);
  return result;
}

}  // namespace hourglass
