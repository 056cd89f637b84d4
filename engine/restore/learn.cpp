#include "engine/restore/learn.h"

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/restore/lesson.h"
#include "engine/restore/resample.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// Of the work that is told as done when the mosaics are filtered, and when the iterations are done.
constexpr double kMosaicsShare = 0.3, kLessonShare = 0.9;
// And when the network has been applied; then its picture is filtered.
constexpr double kAppliedShare = 0.97;

// The middle of the picture at half its size, spoiled, and what the filter and two networks make of it. Nothing where
// that is too small.
std::optional<LessonExample> make_example(const Image& filtered, const Degradation& degradation,
                                          const LearnedMap& before, const LearnedMap& after) {
  constexpr int64_t kFactor = 2, kLargest = 128;
  constexpr uint64_t kSeed = 0xE3A3;  // no lesson's
  const auto side = [&](int64_t length) { return std::min(kLargest, length / kFactor / kMapMultiple * kMapMultiple); };
  const int64_t width = side(filtered.width), height = side(filtered.height);
  if (width < kMapMultiple || height < kMapMultiple) return {};
  const Image half = shrink(filtered, kFactor);
  LessonExample example;
  example.target = crop(half, (half.width - width) / 2, (half.height - height) / 2, width, height);
  const Spoiled spoiled = degradation.spoil(degradation.to_planes(example.target), kSeed, 0);
  example.degraded = degradation.to_image(spoiled.picture->planes());
  example.filtered = spoiled.filtered;
  const std::vector<Plane> planes = degradation.to_planes(example.filtered);
  const auto made_by = [&](const LearnedMap& map) {
    return degradation.to_image(blend(planes, apply_map(map, *spoiled.picture, planes), 1, *spoiled.picture));
  };
  example.before = made_by(before);
  example.after = made_by(after);
  for (Image* image : {&example.target, &example.degraded, &example.filtered, &example.before, &example.after})
    clamp(*image);
  return example;
}

// Where the lesson that was put away has come to.
void take_up(Lesson& lesson, const LearnOptions& options, Learned& result) {
  try {
    lesson.load(*options.resumed);
    result.iterations = lesson.iteration();
    result.errors = options.resumed->numbers("errors", static_cast<std::size_t>(result.iterations));
  } catch (const Error& error) {
    throw error.within(options.resumed_from);
  }
}

}  // namespace

std::size_t learn_memory(int64_t pixels, int channels, int64_t iterations) {
  constexpr int64_t kTile = 512 * 512;
  const bool gray = channels == 1;
  const int64_t lesson = 66'000'000 + mosaics_for(iterations) * 360'000;
  const int64_t applied = 40'000'000 + std::min(pixels, kTile) * (gray ? 560 : 640);
  // Transposed copies.
  const int64_t turned = pixels <= kMostForSymmetries ? pixels * (gray ? 16 : 48) : 0;
  return static_cast<std::size_t>(std::max(lesson, applied) + turned + pixels * (gray ? 40 : 118));
}

Learned learn_picture(const Image& filtered, const Degraded& photograph, const NetworkFactory& make,
                      const OpTable& table, const LearnOptions& options, const Advance& advance) {
  const Degradation& degradation = photograph.degradation();
  Learned result{.image = filtered};
  result.reason = degradation.obstacle();
  if (result.reason.empty() && std::min(filtered.width, filtered.height) < kLeastSideToLearn) {
    result.reason = fmt::format("the photograph is smaller than {0}x{0}", kLeastSideToLearn);
  }
  if (!result.reason.empty()) {
    if (advance) advance(1);
    return result;
  }

  LessonOptions lesson_options;
  lesson_options.iterations = options.iterations;
  lesson_options.symmetries = filtered.plane_size() <= kMostForSymmetries;
  lesson_options.threads = options.threads;
  lesson_options.mosaic.seed = options.seed;
  lesson_options.precision = options.precision;
  bool ended = false;
  const auto part = [&](double from, double to) {
    return [&advance, &ended, from, to](double done) {
      if (!ended && advance && !advance(from + (to - from) * done)) ended = true;
      return !ended;
    };
  };
  std::optional<LearnedMap> map, first;
  {
    Lesson lesson(photograph, filtered, make, table, lesson_options, part(0, kMosaicsShare));
    const auto tell = part(kMosaicsShare, kLessonShare);
    if (options.example) first.emplace(lesson.map());
    if (options.resumed != nullptr) take_up(lesson, options, result);
    const int64_t before = result.iterations;
    const auto save = [&](Archive& archive) {
      lesson.save(archive);
      archive.put("errors", result.errors);
    };
    while (!ended && !lesson.done()) {
      result.errors.push_back(lesson.step());
      result.iterations = lesson.iteration();
      tell(static_cast<double>(result.iterations) / static_cast<double>(options.iterations));
      if (options.on_step)
        options.on_step({.iteration = result.iterations, .error = result.errors.back(), .save = save});
    }
    if (ended && (result.iterations == before || !options.partial)) return result;
    map.emplace(lesson.map());
  }
  if (options.threads > 0) omp_set_num_threads(options.threads);
  if (first && !ended) result.example = make_example(filtered, degradation, *first, *map);
  const double weight = find_blend_weight(*map, filtered, degradation);
  if (weight > 0) {
    // Where the lesson was ended early, that has been obeyed: what it has taught is applied.
    const bool obeyed = ended;
    const auto tell = part(kLessonShare, kAppliedShare);
    std::vector<Plane> planes = degradation.to_planes(filtered);
    std::vector<Plane> made = apply_map(*map, photograph, planes, [&](double done) { return tell(done) || obeyed; });
    // A part of the picture alone is no result.
    if (ended && !obeyed) return result;
    result.weight = weight;
    Image blended = degradation.to_image(blend(planes, made, weight, photograph));
    planes.clear();
    made.clear();
    const auto tell_of_filter = part(kAppliedShare, 1);
    result.image = photograph.refine(std::move(blended), [&](double done) { return tell_of_filter(done) || obeyed; });
  }
  if (advance && !ended) advance(1);
  return result;
}

}  // namespace hourglass
